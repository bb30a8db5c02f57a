"""Records of the nodes of a fleet: node number N has the subnet fd10:N::/48."""

from hashlib import sha256

from ikto_core.mesh.proofs import signed_value
from ikto_core.mesh.records import PeerRecord
from ikto_core.values.keys import PrivateKey


def key_of(number: int) -> PrivateKey:
    """Return the private key of node number N."""
    return PrivateKey(sha256(str(number).encode()).digest()).clamped()


def record_of(number: int) -> PeerRecord:
    """Return the record of node number N, as a node that is no agent of this fleet writes it."""
    return PeerRecord(
        name=f"node-{number}",
        public_key=key_of(number).public(),
        advertise_address=address_of(number),
        allowed_ip=f"fd10:{number:x}::/48",
        wg_port=port_of(number),
        instance=f"{number:032x}",
        serial=1,
    )


def value_of(record: PeerRecord, number: int, bucket: str) -> bytes:
    """Return the signed value of a record of node number N."""
    return signed_value(record, key_of(number), bucket, sha256(f"{number} {record.serial}".encode()).digest() * 2)


def address_of(number: int) -> str:
    """Return the address that node number N advertises."""
    return f"192.0.2.{number % 250 + 1}"


def port_of(number: int) -> int:
    """Return the port of node number N."""
    return 10_000 + number % 50_000
