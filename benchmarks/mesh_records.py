"""A bucket with the records of many peers, for measures."""

from collections.abc import Iterator
from hashlib import sha256

from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.settings import MeshSettings
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.session import Session
from ikto_core.values.keys import PrivateKey, PublicKey

MESH = MeshSettings("fd10::/16", 56)
"""Room for sixteen million subnets."""


def record(number: int, *, port: int = 51820) -> PeerRecord:
    """Return the record of peer N, whose subnet is the Nth; N is 1 or more."""
    allowed_ip = f"fd10:{number >> 8:x}:{(number & 255) << 8:x}::/56"
    return PeerRecord(
        name=f"node-{number}",
        public_key=PublicKey(number.to_bytes(32, "big")),
        advertise_address=f"192.0.{number >> 8 & 255}.{number & 255}",
        allowed_ip=allowed_ip,
        wg_port=port,
        instance=f"{number:016x}",
        nonce=f"{number:032x}",
        agent="ikto 0.4",
        address=f"{allowed_ip.removesuffix('/56')}1",
    )


def private_key(number: int) -> PrivateKey:
    """Return a key that is the same in every run."""
    return PrivateKey(sha256(str(number).encode()).digest()).clamped()


def values(count: int) -> Iterator[tuple[str, bytes]]:
    """Yield the KV keys and values of so many peers."""
    for number in range(1, count + 1):
        one = record(number)
        yield one.key, encode_record(one)


async def filled_bucket(session: Session, name: str, count: int, *, memory: bool = False) -> Bucket:
    """Create a bucket with the records of so many peers."""
    bucket = Bucket(session, name)
    await create_bucket(bucket, MESH, replicas=1, memory=memory)
    for number, (key, value) in enumerate(values(count), 1):
        await session.client.publish(f"$KV.{name}.{key}", value)
        if number % 1000 == 0:
            await session.client.flush()
    await session.client.flush()
    while (await bucket.info()).subjects <= count:  # published without acknowledgements; one key has the settings
        pass
    return bucket
