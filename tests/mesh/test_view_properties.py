"""A MeshView equals a naive view of the whole bucket after any updates in any order and any batches."""

from collections.abc import Iterable, Mapping
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.mesh.records import PeerRecord, RecordError, decode_record, encode_record, record_key
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from ikto_core.testing.strategies import addresses_in, subnets_of
from ikto_core.values.addressing import Prefix, format_address
from ikto_core.values.keys import PublicKey
from tests.effort import max_examples
from tests.samples import KEYS, MESH, OWN_KEY, OWN_SUBNET, entries_of, record

RULES = MeshRules(cidr=MESH, subnet_prefix=28, own_key=OWN_KEY, own_subnet=OWN_SUBNET)
EXAMPLES = settings(max_examples=max_examples(300), deadline=None)


class NaiveView:
    """The view of a whole bucket, computed at once: canonical records first, then by KV key."""

    def __init__(self, rules: MeshRules, bucket: Mapping[str, Entry]) -> None:
        self.rules = rules
        self.accepted: dict[str, tuple[int, PeerRecord]] = {}
        self.refused: set[str] = set()
        self.own: set[str] = set()
        valid = [(key, e.revision, r) for key, e in bucket.items() if (r := self._valid(key, e))]
        for key, revision, found in sorted(valid, key=lambda v: (not self._canonical(v[2]), v[0])):
            self._decide(key, revision, found)

    def _valid(self, key: str, entry: Entry) -> PeerRecord | None:
        if entry.value is None or not key.startswith("peers."):
            return None
        try:
            found = decode_record(key, entry.value)
        except RecordError:
            found = None
        if found and self.rules.cidr.covers(Prefix.parse(found.allowed_ip)):
            return found
        self.refused.add(key)
        return None

    def _canonical(self, found: PeerRecord) -> bool:
        subnet = Prefix.parse(found.allowed_ip)
        return subnet.length == self.rules.subnet_prefix and str(subnet) == found.allowed_ip

    def _decide(self, key: str, revision: int, found: PeerRecord) -> None:
        subnet = Prefix.parse(found.allowed_ip)
        if found.public_key in self.own_keys():
            self.own.add(key)
            if self._canonical(found) and subnet == self.rules.own_subnet:
                return
        if (self.rules.own_subnet and subnet.overlaps(self.rules.own_subnet)) or self.overlapping(subnet):
            self.refused.add(key)
        else:
            self.accepted[key] = (revision, found)

    def overlapping(self, subnet: Prefix) -> list[PeerRecord]:
        return [found for _, found in self.accepted.values() if subnet.overlaps(Prefix.parse(found.allowed_ip))]

    def peers(self) -> dict[PublicKey, list[tuple[int, PeerRecord]]]:
        """Each peer's records, the latest first."""
        latest_first = sorted(self.accepted.values(), key=lambda pair: -pair[0])
        keys = {found.public_key for _, found in latest_first} - self.own_keys()
        return {key: [pair for pair in latest_first if pair[1].public_key == key] for key in keys}

    def announced(self) -> dict[PublicKey, list[tuple[int, PeerRecord]]]:
        """Each next key that is not a present key, with the records that announce it, the latest first."""
        latest_first = sorted(self.accepted.values(), key=lambda pair: -pair[0])
        keys = {key for _, found in latest_first if (key := found.next_public_key)} - self.own_keys()
        announced = {key: [pair for pair in latest_first if pair[1].next_public_key == key] for key in keys}
        return {key: pairs for key, pairs in announced.items() if key not in self.peers()}

    def own_keys(self) -> set[PublicKey]:
        return {self.rules.own_key, *self.rules.other_own_keys}


def records_of(peer: MeshPeer) -> list[tuple[int, PeerRecord]]:
    return [(accepted.revision, accepted.record) for accepted in peer.records]


CANONICAL = subnets_of(MESH, 28).map(str)
WITH_HOST_BITS = st.builds("{}/{}".format, addresses_in(MESH).map(format_address), st.integers(25, 32))
OUTSIDE = st.sampled_from(["10.0.1.0/28", "0.0.0.0/0", "10.0.0.0/23", "fd10::/48", "::/0"])
SUBNETS = st.one_of(CANONICAL, CANONICAL, subnets_of(MESH).map(str), WITH_HOST_BITS, OUTSIDE)
PORTS = st.integers(1, 3)
NEXT_KEYS = st.none() | st.none() | st.sampled_from(KEYS)
RECORDS = st.builds(
    lambda found, next_key: replace(found, next_public_key=next_key),
    st.builds(record, SUBNETS, st.sampled_from(KEYS), st.sampled_from("ab"), PORTS),
    NEXT_KEYS,
)
GARBAGE = st.binary(max_size=3) | RECORDS.map(encode_record)
Change = tuple[str, bytes | None]
CHANGES = st.one_of(
    RECORDS.map(lambda r: (r.key, encode_record(r))),
    RECORDS.map(lambda r: (r.key, encode_record(r))),
    st.tuples(SUBNETS.map(record_key), st.none() | GARBAGE),
    st.tuples(st.sampled_from(["mesh", "peers.", "peers.x"]), GARBAGE),
)
BATCHES = st.lists(st.lists(CHANGES, max_size=6), max_size=8)
SOME_RULES = st.builds(
    MeshRules,
    cidr=st.just(MESH),
    subnet_prefix=st.sampled_from([28, 28, 30]),
    own_key=st.sampled_from(KEYS[:2]),
    other_own_keys=st.sampled_from([frozenset(), frozenset(), frozenset(KEYS[1:2])]),
    own_subnet=st.sampled_from([OWN_SUBNET, OWN_SUBNET, None]),
)


def numbered(batches: Iterable[Iterable[Change]]) -> list[dict[str, Entry]]:
    """Return each batch as a follower passes it on: the last write of each key, with its revision."""
    revision, folded = 0, []
    for batch in batches:
        entries = {}
        for key, value in batch:
            revision += 1
            entries[key] = Entry(revision, value)
        folded.append(entries)
    return folded


@EXAMPLES
@given(SOME_RULES, BATCHES)
def test_the_view_equals_a_naive_view_of_the_whole_bucket(rules: MeshRules, batches: list[list[Change]]) -> None:
    view, bucket = MeshView(rules), dict[str, Entry]()
    for changes in numbered(batches):
        before = dict(view.on_device)
        touched = view.update(changes)
        bucket |= changes
        naive = NaiveView(rules, bucket)
        assert {key: records_of(peer) for key, peer in view.peers.items()} == naive.peers()
        assert view.quarantined.keys() == naive.refused
        assert view.own_records.keys() == naive.own
        assert view.subnets() == {Prefix.parse(found.allowed_ip) for _, found in naive.accepted.values()}
        shown = {key: records_of(peer) for key, peer in view.on_device.items()}
        assert shown == naive.peers() | naive.announced()
        assert {key for key, peer in view.on_device.items() if peer.predecessor} == naive.announced().keys()
        assert touched == {key for key in before | view.on_device if before.get(key) != view.on_device.get(key)}


@EXAMPLES
@given(SOME_RULES, BATCHES)
def test_a_quarantine_names_the_overlapping_record(rules: MeshRules, batches: list[list[Change]]) -> None:
    view, bucket = MeshView(rules), dict[str, Entry]()
    for changes in numbered(batches):
        view.update(changes)
        bucket |= changes
    naive = NaiveView(rules, bucket)
    for key, quarantined in view.quarantined.items():
        assert (quarantined.key, quarantined.revision) == (key, bucket[key].revision)
        subnet, overlaps, owner = quarantined.reason.partition(" overlaps ")
        if overlaps:
            descriptions = [
                f"{found.allowed_ip} of {found.name!r}" for found in naive.overlapping(Prefix.parse(subnet))
            ]
            assert owner in [*descriptions, f"this node's own subnet {rules.own_subnet}"]


@EXAMPLES
@given(st.lists(CHANGES, max_size=12), st.randoms(use_true_random=False), st.integers(1, 4))
def test_nodes_that_saw_different_orders_accept_the_same_records(
    changes: list[Change], random: Random, size: int
) -> None:
    [bucket] = numbered([changes])
    once = MeshView(RULES)
    once.update(bucket)
    order = list(bucket.items())
    random.shuffle(order)
    piecemeal = MeshView(RULES)
    for start in range(0, len(order), size):
        piecemeal.update(dict(order[start : start + size]))
    assert piecemeal.peers == once.peers
    assert piecemeal.quarantined == once.quarantined


@EXAMPLES
@given(st.lists(RECORDS, max_size=10), st.lists(CANONICAL, min_size=2, max_size=3, unique=True))
def test_nodes_with_different_claims_agree_on_the_taken_subnets(others: list[PeerRecord], own: list[str]) -> None:
    claims = [record(subnet, key) for subnet, key in zip(own, KEYS, strict=False)]
    bucket = entries_of(*[other for other in others if other.key not in {c.key for c in claims}], *claims)
    taken = []
    for claim in claims:
        view = MeshView(MeshRules(cidr=MESH, subnet_prefix=28, own_key=claim.public_key, own_subnet=claim.subnet))
        view.update(bucket)
        taken.append(view.subnets() | {claim.subnet})
    assert taken == taken[:1] * len(taken)


OWN_SUBNETS = st.none() | st.sampled_from(
    [OWN_SUBNET, *map(Prefix.parse, ["10.0.0.32/28", "10.0.0.24/29", "10.0.0.0/25"])]
)


@EXAMPLES
@given(SOME_RULES, st.lists(st.tuples(OWN_SUBNETS, st.lists(CHANGES, max_size=6)), max_size=8))
def test_the_own_subnet_changes_in_place_as_if_the_bucket_were_read_anew(
    rules: MeshRules, steps: list[tuple[Prefix | None, list[Change]]]
) -> None:
    view, bucket = MeshView(rules), dict[str, Entry]()
    for (subnet, _), changes in zip(steps, numbered(changes for _, changes in steps), strict=True):
        before = dict(view.on_device)
        touched = view.set_own_subnet(subnet) | view.update(changes)
        bucket |= changes
        anew = MeshView(replace(rules, own_subnet=subnet))
        anew.update(bucket)
        assert contents(view) == contents(anew)
        assert touched >= {key for key in before | view.on_device if before.get(key) != view.on_device.get(key)}


def contents(view: MeshView) -> tuple[object, ...]:
    shown = view.rules, view.peers, view.on_device, view.quarantined, view.own_records
    return *shown, view.subnets(), set(view.accepted)
