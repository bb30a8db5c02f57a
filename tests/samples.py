"""Records of a small IPv4 mesh, and bucket entries made of them."""

from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.view import Entry
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey

MESH = Prefix.parse("10.0.0.0/24")
OWN_SUBNET = Prefix.parse("10.0.0.16/28")
KEYS = [PublicKey(bytes([number] * 32)) for number in range(1, 6)]
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
