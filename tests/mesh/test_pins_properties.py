"""The same bucket and the same pins give the same view, in whatever order the records arrive.

Nodes that got them in different batches have seen different histories: they agree when the pins have ended.
"""

from collections.abc import Mapping
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.mesh.pin_rules import Pin
from ikto_core.mesh.pins import HOLD_S, Pins
from ikto_core.mesh.proofs import ProofIndex
from ikto_core.mesh.records import encode_record, record_key
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from tests.effort import max_examples
from tests.samples import KEYS, MESH, OWN_KEY, OWN_SUBNET, record, signed

EXAMPLES = settings(max_examples=max_examples(300), deadline=None)
SUBNETS = ["10.0.0.32/28", "10.0.0.48/28", "10.0.0.40/29", "10.0.0.32/27", "10.9.0.0/28"]
SERIALS = st.integers(1, 4)
PLAIN = st.builds(
    lambda subnet, key, name, left, following: replace(record(subnet, key, name), left=left, next_public_key=following),
    st.sampled_from(SUBNETS),
    st.sampled_from(KEYS),
    st.sampled_from("ab"),
    st.sampled_from([False, False, False, True]),
    st.none() | st.sampled_from(KEYS),
)
WRITES = st.one_of(
    st.builds(lambda found, serial: (found.key, signed(found, serial)), PLAIN, SERIALS),
    st.builds(lambda found, serial: (found.key, signed(found, serial)), PLAIN, SERIALS),
    st.builds(lambda found: (found.key, encode_record(found)), PLAIN),
    st.builds(lambda found: (found.key, signed(found, 1, "another bucket")), PLAIN),
    st.tuples(st.sampled_from(SUBNETS).map(record_key), st.none() | st.just(b"{")),
)
HISTORY = st.lists(st.tuples(WRITES, st.integers(0, 400)), max_size=12)


class Node:
    """A view and pins."""

    def __init__(self, *, require_proof: bool) -> None:
        rules = MeshRules(
            cidr=MESH, subnet_prefix=28, own_key=OWN_KEY, own_subnet=OWN_SUBNET, require_proof=require_proof
        )
        self.view = MeshView(rules)
        self.pins = Pins(ProofIndex("ikto-mesh"), lambda: self.view.rules)

    def update(self, changes: Mapping[str, Entry], now: float) -> None:
        self.view.update(self.pins.update(changes, now))

    def expire(self, now: float) -> None:
        self.view.update(self.pins.expire(now))

    @property
    def counting(self) -> tuple[object, ...]:
        return self.view.peers, self.view.on_device, self.view.quarantined, self.view.own_records

    @property
    def shown(self) -> tuple[object, ...]:
        return *self.counting, self.pins.pins


@EXAMPLES
@given(HISTORY, HISTORY, st.booleans(), st.randoms(use_true_random=False), st.integers(1, 4))
def test_the_order_of_the_records_does_not_matter(
    before: list[tuple[tuple[str, bytes | None], int]],
    after: list[tuple[tuple[str, bytes | None], int]],
    require_proof: bool,
    random: Random,
    size: int,
) -> None:
    one, shuffled, whole, batches = nodes = [Node(require_proof=require_proof) for _ in range(4)]
    table: dict[str, Entry] = {}
    for revision, ((key, value), _) in enumerate(before, 1):
        table[key] = Entry(revision, value)
        for node in nodes:
            node.update({key: table[key]}, 0.0)
    changes = {key: Entry(100 + n, value) for n, ((key, value), _) in enumerate(after)}
    order = list(changes.items())
    random.shuffle(order)
    one.update(changes, 1.0)
    shuffled.update(dict(order), 1.0)
    for start in range(0, len(order), size):
        batches.update(dict(order[start : start + size]), 1.0)
    present = {key: entry for key, entry in (table | changes).items() if entry.value is not None}
    whole.view.update(whole.pins.replace(present, 1.0))
    assert one.shown == shuffled.shown == whole.shown
    for node in (one, batches):
        node.expire(1.0 + HOLD_S)
    assert one.counting == batches.counting


@EXAMPLES
@given(HISTORY, st.booleans(), st.randoms(use_true_random=False))
def test_what_is_changed_step_by_step_equals_what_is_decided_anew(
    history: list[tuple[tuple[str, bytes | None], int]], require_proof: bool, random: Random
) -> None:
    """Also over times: pins end, and what they refused counts then."""
    node, now, table = Node(require_proof=require_proof), 0.0, dict[str, Entry]()
    for revision, ((key, value), pause_s) in enumerate(history, 1):
        now += pause_s
        table[key] = Entry(revision, value)
        node.expire(now)
        node.update({key: table[key]}, now)
        present = {k: e for k, e in table.items() if e.value is not None}
        looked_at = node.pins.replace(random.choice([present, table]), now)
        assert looked_at.keys() <= set(node.pins.deleted()), "the bucket has nothing new"
        again = MeshView(node.view.rules)
        again.update(node.pins.rulings())
        assert (again.peers, again.quarantined) == (node.view.peers, node.view.quarantined)
        _check_pins(node.pins, table, now)


def _check_pins(pins: Pins, table: Mapping[str, Entry], now: float) -> None:
    for key, pin in pins.pins.items():
        gone = pin.gone_since is not None
        assert gone is (table.get(key) != pin.entry)
        assert not gone or now - _since(pin) < HOLD_S + 400


def _since(pin: Pin) -> float:
    assert pin.gone_since is not None
    return pin.gone_since
