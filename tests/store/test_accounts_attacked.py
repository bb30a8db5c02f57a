"""A node attacks the bucket and another node, with nothing but what `ikto nats` printed for it, on a real nats-server.

Each attack is made in both layouts. In one account many get through; so their effects would be seen in the other, too.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from ikto_core.errors import NatsError
from ikto_core.mesh.records import record_key
from ikto_core.mesh.settings import MESH_KEY, MeshSettings
from ikto_core.store.api import StreamInfo
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.permissions import ADMIN
from tests.printed import LAYOUTS, Layout, login, printed, server_for

ATTACKER, VICTIM = "attacker", "victim"
ATTACKERS_KEY, VICTIMS_KEY = record_key("fd10:1::/48"), record_key("fd10:2::/48")
NODES = (f"{ATTACKER}=fd10:1::", f"{VICTIM}=fd10:2::")
VICTIMS_RECORD = b"the victim's own"
SEEN_ENOUGH = 20
"""Round trips after an attack, by way of the stream, until its effect is looked for."""


class Scene:
    """A bucket with the victim's record, and connections of the operator, the attacker and the victim."""

    def __init__(self, admin: Bucket, attacker: Bucket, victim: Bucket) -> None:
        self.admin, self.attacker = admin, attacker
        self.received: list[str] = []  # subjects of what reached the victim, other than real pushes
        self.answered: list[str] = []  # subjects of what reached the operator as an answer of a node
        self._victim = victim
        self._before: StreamInfo | None = None

    async def prepare(self) -> None:
        session = self._victim._session
        for subject in (f"_INBOX_{VICTIM}.>", self._victim.push_subject):
            await session.subscribe(subject, lambda message: self.received.append(message.subject))
        subject = self.admin.subjects.answered
        await self.admin._session.subscribe(subject, lambda message: self.answered.append(message.subject))
        await self._victim.put(VICTIMS_KEY, VICTIMS_RECORD, expected=0)
        self._before = await self.admin.stream_info()

    async def send(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        await self.attacker._session.client.publish(subject, payload, reply, dict(headers) if headers else None)

    async def write(self, value: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Write the attacker's own record, whatever is there."""
        await self.attacker._session.request(self.attacker.subjects.write(ATTACKERS_KEY), value, headers)

    async def answer_to(self, reply: str, value: bytes | None = None) -> None:
        """Have the server send `value`, the attacker's own record, to a subject; None: what it says of itself."""
        subjects = self.attacker.subjects
        if value is None:
            await self.send(subjects.request("STREAM.INFO"), b"", reply)
            await self.send(subjects.write(ATTACKERS_KEY), b"again", reply)
            return
        await self.write(value)
        last = json.dumps({"last_by_subj": subjects.stored_prefix + ATTACKERS_KEY}).encode()
        await self.send(subjects.request("DIRECT.GET"), last, reply)

    async def effects(self) -> set[str]:
        """Return what the attack has reached."""
        try:
            for _ in range(SEEN_ENOUGH):
                await self.write(b"settled")
            entry, mesh = await self.admin.get(VICTIMS_KEY), await self.admin.get(MESH_KEY)
            now = await self.admin.stream_info()
        except NatsError:
            return {"the bucket is gone"}
        assert self._before
        found = {
            "the victim's record": entry is None or entry.value != VICTIMS_RECORD,
            "the mesh's settings": mesh is None or mesh.value != MESH.encode(),
            "the bucket's settings": now.config != self._before.config,
            "records are gone": now.state.num_subjects < self._before.state.num_subjects,
            "a consumer": now.state.consumer_count > 0,
            "the victim's inbox": bool({f"_INBOX_{VICTIM}.x", f"$KV.b.{VICTIMS_KEY}"} & set(self.received)),
            "the victim's pushes": "ikto.b.forged" in self.received,
            "an answer in the victim's name": self.admin.subjects.answer(VICTIMS_KEY) in self.answered,
        }
        return {effect for effect, reached in found.items() if reached}


MESH = MeshSettings("fd10::/16", 48)
Attack = Callable[[Scene], Awaitable[object]]
CONSUMER = {"deliver_subject": f"_INBOX_{VICTIM}.x", "name": "evil", "durable_name": "evil", "ack_policy": "none"}


async def update(scene: Scene) -> None:
    config = (await scene.admin.call("STREAM.INFO", {}))["config"] | {"max_age": 3600 * 10**9}
    await scene.answer_to("$JS.API.STREAM.UPDATE.KV_b", json.dumps(config).encode())


async def trace(scene: Scene) -> None:
    for reply in (f"$KV.b.{VICTIMS_KEY}", f"_INBOX_{VICTIM}.x", "ikto.b.forged"):
        await scene.send(scene.attacker.subjects.write(ATTACKERS_KEY), b"v", "", {"Nats-Trace-Dest": reply})


async def publish_directly(scene: Scene) -> None:
    subjects = scene.attacker.subjects
    written = [subjects.write(key) for key in (VICTIMS_KEY, MESH_KEY)]
    written += [subjects.answer(VICTIMS_KEY), subjects.asked]
    asked = [subjects.request(verb) for verb in ("STREAM.PURGE", "STREAM.DELETE", "STREAM.UPDATE", "STREAM.MSG.DELETE")]
    local = [f"$KV.b.{VICTIMS_KEY}", "ikto.b.forged", f"_INBOX_{VICTIM}.x", "$JS.API.STREAM.DELETE.KV_b"]
    for subject in (*written, *asked, *local):
        await scene.send(subject, b"" if "DELETE" in subject else b"{}")


async def roll_up(scene: Scene) -> None:
    for kind in ("all", "sub"):
        await scene.write(b"v", {"Nats-Rollup": kind})


ATTACKS: dict[str, tuple[Attack, set[str]]] = {
    "a record as an answer": (lambda scene: scene.answer_to(f"$KV.b.{VICTIMS_KEY}", b"{}"), {"the victim's record"}),
    "junk as an answer": (lambda scene: scene.answer_to(f"$KV.b.{VICTIMS_KEY}"), {"the victim's record"}),
    "settings as an answer": (lambda scene: scene.answer_to(f"$KV.b.{MESH_KEY}", b"{}"), {"the mesh's settings"}),
    "an answer by way of an import": (
        lambda scene: scene.answer_to(scene.attacker.subjects.write(VICTIMS_KEY), b"{}"),
        {"the victim's record"},
    ),
    "an answer as a push": (lambda scene: scene.answer_to("ikto.b.forged", b"{}"), {"the victim's pushes"}),
    "an answer in an inbox": (lambda scene: scene.answer_to(f"_INBOX_{VICTIM}.x", b"{}"), {"the victim's inbox"}),
    "an answer of the server in the victim's name": (  # which askers refuse: the victim has not signed it
        lambda scene: scene.answer_to(scene.admin.subjects.answer(VICTIMS_KEY), b"{}"),
        {"an answer in the victim's name"},
    ),
    "a purge as an answer": (lambda scene: scene.answer_to("$JS.API.STREAM.PURGE.KV_b", b"{}"), set()),
    "a consumer as an answer": (
        lambda scene: scene.answer_to(
            "$JS.API.CONSUMER.CREATE.KV_b.evil", json.dumps({"stream_name": "KV_b", "config": CONSUMER}).encode()
        ),
        {"a consumer"},
    ),
    "an update as an answer": (update, {"the bucket's settings"}),
    "a deletion as an answer": (lambda s: s.answer_to("$JS.API.STREAM.DELETE.KV_b", b""), {"the bucket is gone"}),
    "a trace": (trace, set()),
    "a rollup": (roll_up, set()),
    "without detours": (publish_directly, set()),
}
"""By name: an attack, and what it reaches if all clients are in one account."""


@asynccontextmanager
async def scene_in(directory: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    config = printed(directory, layout.command, NODES)
    async with AsyncExitStack() as stack:
        server = stack.enter_context(server_for(directory, (ATTACKER, VICTIM), monkeypatch, config))
        buckets = [
            Bucket(await stack.enter_async_context(open_session(login(server, layout, name), Random())), "b")
            for name in (ADMIN, ATTACKER, VICTIM)
        ]
        await create_bucket(buckets[0], MESH, replicas=1, memory=False)
        scene = Scene(*buckets)
        await scene.prepare()
        yield scene


@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_account_for_each_node_lets_no_attack_through(
    tmp_path: Path, attack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene_in(tmp_path, LAYOUTS["an account for each node"], monkeypatch) as scene:
        await ATTACKS[attack][0](scene)
        assert await scene.effects() == set()


@pytest.mark.parametrize("attack", ATTACKS)
async def test_within_one_account_permissions_are_no_boundary(
    tmp_path: Path, attack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene_in(tmp_path, LAYOUTS["one account"], monkeypatch) as scene:
        await ATTACKS[attack][0](scene)
        assert await scene.effects() == ATTACKS[attack][1]
