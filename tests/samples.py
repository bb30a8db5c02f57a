"""Records of a small IPv4 mesh, and bucket entries made of them."""

from msgspec.structs import replace

from ikto_core.mesh.proofs import signed_value
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.view import Entry
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PrivateKey, PublicKey

MESH = Prefix.parse("10.0.0.0/24")
OWN_SUBNET = Prefix.parse("10.0.0.16/28")
PRIVATE_KEYS = sorted((PrivateKey(bytes([number] * 32)).clamped() for number in range(1, 6)), key=PrivateKey.public)
KEYS = [key.public() for key in PRIVATE_KEYS]
OWN_KEY, KEY, OTHER_KEY, THIRD_KEY = KEYS[:4]


def record(
    allowed_ip: str, public_key: PublicKey = KEY, name: str = "peer", port: int = 51820, instance: str = ""
) -> PeerRecord:
    """Return the record of a subnet."""
    return PeerRecord(
        name=name,
        public_key=public_key,
        advertise_address="192.0.2.1",
        allowed_ip=allowed_ip,
        wg_port=port,
        instance=instance,
    )


def entries_of(*records: PeerRecord, since: int = 1) -> dict[str, Entry]:
    """Return what the bucket has after these writes, the first of them at revision `since`."""
    return {r.key: Entry(revision, encode_record(r)) for revision, r in enumerate(records, start=since)}


def signed(record: PeerRecord, serial: int = 1, bucket: str = "ikto-mesh") -> bytes:
    """Return a record's value with a proof; its public key is one of `KEYS`."""
    private_key = PRIVATE_KEYS[KEYS.index(record.public_key)]
    return signed_value(replace(record, serial=serial), private_key, bucket, bytes(64))


def sign_after(record: PeerRecord, serial: int) -> bytes:
    """Return the next value after one with this serial, for a `Claimant`."""
    return signed(record, serial + 1)


def proved_entries(*records: PeerRecord, since: int = 1) -> dict[str, Entry]:
    """Return what the bucket has after these writes, as `entries_of`, each with a proof and its revision as serial."""
    return {r.key: Entry(revision, signed(r, revision)) for revision, r in enumerate(records, start=since)}
