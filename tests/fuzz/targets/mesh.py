"""Records: decoding them, what they prove, and the view of a mesh that they form."""

from collections.abc import Callable

import msgspec

from ikto_core.mesh.pins import Pins
from ikto_core.mesh.proofs import Proof, ProofIndex, ProofResult, has_proof, judge, owner_of
from ikto_core.mesh.records import (
    MAX_ENDPOINTS,
    PEER_KEYS,
    RecordError,
    decode_record,
    encode_record,
    record_key,
    subnet_of_key,
)
from ikto_core.mesh.settings import read_settings
from ikto_core.mesh.successions import succeeds
from ikto_core.mesh.view import Entry, MeshRules, MeshView, Ruling
from ikto_core.values.addressing import Prefix
from tests.fuzz.target import RefusedError, Target, without_preparation
from tests.samples import KEYS, OWN_KEY

BUCKET = "ikto-mesh"
MESH = Prefix.parse("fd10::/16")
RULES = MeshRules(cidr=MESH, subnet_prefix=48, own_key=OWN_KEY, own_subnet=Prefix.parse("fd10:99::/48"))
_EARLIER = Proof(public_key=KEYS[1], serial=1)
WORDS = (
    *(b'"name":', b'"public_key":', b'"advertise_address":', b'"allowed_ip":', b'"wg_port":', b'"endpoints":'),
    *(b'"instance":', b'"nonce":', b'"agent":', b'"next_public_key":', b'"lease":', b'"address":', b'"left":true'),
    *(b'"successions":', b'"serial":', b',"proof":"', b"peers.", b"peers.ZmQxMDoxOjovNDg=", b"fd10:1::/48"),
)


class _Owner(msgspec.Struct):
    allowed_ip: str


def read_write(line: bytes, value: bytes) -> tuple[str, bytes]:
    """Return the KV key and the value of a write; the line `=` stands for the key that fits the value."""
    if line == b"=":
        try:
            return record_key(msgspec.json.decode(value, type=_Owner).allowed_ip), value
        except (ValueError, RecursionError):  # as for most values that are not JSON
            return f"{PEER_KEYS}ZmQxMDoxOjovNDg=", value
    return line.decode(errors="backslashreplace"), value


def check_record(data: bytes) -> None:
    """Read a KV key, a line, and the record under it: what is accepted is the same once written and read again."""
    line, _, value = data.partition(b"\n")
    key, value = read_write(line, value)
    subnet_of_key(key)
    read_settings(Entry(1, value))
    record = decode_record(key, value)
    again = decode_record(record.key, encode_record(record))
    assert again == record
    assert 1 <= len(record.candidates) <= MAX_ENDPOINTS
    assert record.subnet.covers(Prefix.parse(f"{record.device_address}/{record.subnet.bits}"))
    texts = (record.name, record.instance, record.nonce, record.agent, record.successions)
    msgspec.json.encode(texts)  # they can be shown


def check_proof(data: bytes) -> None:
    """Read a KV key, a line, and what the value under it proves: nothing without a signature, and that is no error."""
    line, _, value = data.partition(b"\n")
    key, value = read_write(line, value)
    owner_of(value)
    found, trusted = judge(BUCKET, key, value), judge(BUCKET, key, value, verified=True)
    assert has_proof(value) or not (found.proof or trusted.proof)
    assert found == trusted or found.fault
    if not trusted.proof:
        raise RefusedError("it proves nothing, whoever signed it")
    record = decode_record(key, value)
    assert trusted.proof.public_key == record.public_key
    assert succeeds(trusted.proof, trusted.proof, BUCKET, key)
    succeeds(trusted.proof, _EARLIER, BUCKET, key)


class _Node:
    """The view of a node, and its pins."""

    def __init__(self, *, require_proof: bool) -> None:
        self.view = MeshView(msgspec.structs.replace(RULES, require_proof=require_proof))
        self.proofs = ProofIndex(BUCKET)
        self.pins = Pins(self.proofs, lambda: self.view.rules)
        self.now = 0.0
        self.table: dict[str, Entry] = {}
        self.revision = 0

    def write(self, key: str, value: bytes | None) -> None:
        self.revision += 1
        self.table[key] = Entry(self.revision, value)
        self.apply(self.pins.update({key: self.table[key]}, self.now))

    def apply(self, rulings: dict[str, Ruling]) -> None:
        self.view.update(rulings)
        msgspec.json.encode(list(self.view.quarantined.values()))  # the status shows them
        for public_key, peer in self.view.on_device.items():
            assert public_key != OWN_KEY
            assert all(MESH.covers(prefix) for prefix in peer.allowed_ips)
            assert peer.endpoints

    def read_again(self) -> None:
        self.apply(self.pins.replace({key: entry for key, entry in self.table.items() if entry.value}, self.now))
        anew = MeshView(self.view.rules)
        anew.update(self.pins.rulings())
        assert (anew.on_device, anew.quarantined) == (self.view.on_device, self.view.quarantined)


def _later(node: _Node) -> None:
    node.now += 700
    node.apply(node.pins.expire(node.now))


_STEPS: dict[bytes, Callable[[_Node], None]] = {
    b"!later": _later,
    b"!release": lambda node: node.apply(node.pins.release(node.now)),
    b"!history": lambda node: node.apply(node.pins.accept_history(node.now)),
    b"!again": _Node.read_again,
}
"""Lines that are no writes."""


def check_view(data: bytes) -> None:
    """Apply writes, a line for the KV key and one for the value, to a node's view. Nothing in them raises an error.

    In a file that begins with `!trust`, signatures count as verified.
    """
    lines = data.split(b"\n")[:200]
    trusted = lines[0] == b"!trust"
    node = _Node(require_proof=lines[0] == b"!proved")
    rest = iter(lines)
    for line in rest:
        if step := _STEPS.get(line):
            step(node)
        elif not line.startswith(b"!"):
            key, value = read_write(line, next(rest, b""))
            if trusted:
                result: ProofResult = node.proofs.trust(key, value)
                assert result == node.proofs.result(key, value)
            node.write(key, value or None)
    node.read_again()
    if not node.view.peers:
        raise RefusedError("no record is accepted")


TARGETS = (
    Target("record", 10, (RecordError,), without_preparation(check_record), WORDS),
    Target("proof", 5, (), without_preparation(check_proof), WORDS),
    Target("view", 8, (), without_preparation(check_view), (*WORDS, *_STEPS, b"!trust", b"!proved", b"\n=\n")),
)
