"""A mesh as Ikto 0.3.0 leaves it: its bucket, two nodes with their files, and their records, byte for byte."""

import asyncio
import json

from nats import connect

from ikto_core.mesh.records import record_key
from tests.docs.sandbox import Hosts
from tests.docs.sessions import commands

FILES = """
```console
{name}# install -d -m 700 /etc/ikto
{name}# /opt/ikto/bin/ikto key generate /etc/ikto/private.key
…
{name}# /opt/ikto/bin/ikto init --name {name} --private-address fd10:{number}::1 \\
>   --nats-url nats://nats.example.net:4222 -o /etc/ikto/config.json
```
"""


def old_mesh(hosts: Hosts) -> None:
    """Make the mesh: the nodes `node-a` and `node-b`, of which the tests run neither."""
    records = {}
    for number, name in enumerate(("node-a", "node-b"), 1):
        hosts.run("files of 0.3.0", commands(FILES.format(name=name, number=number)))
        key = hosts.run_one(name, "/opt/ikto/bin/ikto key show /etc/ikto/private.key").strip()
        allowed_ip = f"fd10:{number}::1/48"  # 0.3.0 writes the address as it is configured, host bits and all
        records[record_key(allowed_ip)] = {
            "name": name,
            "public_key": key,
            "advertise_address": f"192.0.2.{number}",
            "allowed_ip": allowed_ip,
            "wg_port": 51820,
        }
    asyncio.run(_bucket(hosts.server.url, {key: json.dumps(value).encode() for key, value in records.items()}))


async def _bucket(url: str, values: dict[str, bytes]) -> None:
    """Make the bucket as the Go client does, which 0.3.0 uses."""
    client = await connect(url)
    try:
        bucket = await client.jetstream().create_key_value(bucket="ikto-mesh")
        for key, value in values.items():
            await bucket.put(key, value)
    finally:
        await client.close()
