"""Nodes that answer questions without an agent: the agents' own responder, with a health of one's choice."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from random import Random

from ikto_core.fleet.answer import NodeAnswer, Request, heard_peers
from ikto_core.fleet.asking import Roster
from ikto_core.fleet.heard import Heard
from ikto_core.fleet.responder import Responder
from ikto_core.mesh.records import record_key
from ikto_core.store.received import Received
from ikto_core.store.session import Session
from ikto_core.store.subjects import Subjects
from ikto_core.values.keys import PrivateKey, PublicKey


class SimulatedNode:
    """Node number N of a mesh: its subnet is fd10:N::/48."""

    def __init__(self, number: int, nodes: int = 1) -> None:
        self.private_key = PrivateKey(sha256(str(number).encode()).digest()).clamped()
        self.key = self.private_key.public()
        self.number = number
        self.allowed_ip = f"fd10:{number:x}::/48"
        self.kv_key: str | None = record_key(self.allowed_ip)
        self.nodes = nodes
        self.revision = 7
        self.heard: dict[PublicKey, Heard] = {}
        self.asked: list[Request] = []

    async def answer(self, request: Request) -> NodeAnswer:
        """Answer, as NodeHealth does."""
        self.asked.append(request)
        heard, left_out = heard_peers(self.heard)
        return NodeAnswer(
            nonce=request.nonce,
            public_key=self.key.text,
            version="0.4",
            state="ready",
            time_s=time.time(),
            revision=self.revision,
            bucket_revision=self.revision,
            accepted=len(self.heard),
            heard=heard,
            left_out=left_out,
        )

    def responder(self, bucket: str) -> Responder:
        """Return what answers for this node."""
        return Responder(bucket, self.private_key, self, Random(str(self.kv_key)))  # noqa: S311 - nothing depends on its secrecy


def roster(nodes: Sequence[SimulatedNode]) -> Roster:
    """Return who is asked."""
    return {node.key: frozenset({node.kv_key or ""}) for node in nodes}


@asynccontextmanager
async def answering(session: Session, bucket: str, nodes: Sequence[SimulatedNode]) -> AsyncIterator[list[Responder]]:
    """Let nodes answer over one session."""
    responders = [node.responder(bucket) for node in nodes]

    def receive(asked: Received) -> None:
        for responder in responders:
            responder.receive(asked)

    await session.subscribe(Subjects(bucket).asked, receive)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(responder.answer_received(session)) for responder in responders]
        yield responders
        for task in running:
            task.cancel()
