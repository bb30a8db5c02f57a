"""A node attacks the bucket and another node: accounts are JWTs, and no node is in the account of the bucket."""

from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from ikto_core.lab.agent_process import write_private
from ikto_core.lab.nats_server import running_server
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.permissions import ADMIN, NodeAccess
from ikto_core.store.session import NatsSettings
from ikto_core.store.subjects import api_prefix
from tests.forked import END_WITH_TESTS
from tests.jwt_accounts import PREFIX, JwtAccounts, jwt_accounts
from tests.store.test_accounts_attacked import ATTACKER, ATTACKERS_KEY, ATTACKS, MESH, VICTIM, VICTIMS_KEY, Scene

NODES = (NodeAccess(name=ATTACKER, key=ATTACKERS_KEY), NodeAccess(name=VICTIM, key=VICTIMS_KEY))
IF_TOGETHER = {
    "an answer by way of an import": {"the victim's record"},
    "an answer as a push": {"the victim's pushes"},
    "an answer in an inbox": {"the victim's inbox"},
}
"""What attacks reach if all nodes are in one account, beside that of the bucket; the others reach nothing."""


@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_account_for_each_node_lets_no_attack_through(tmp_path: Path, attack: str) -> None:
    assert await effects(tmp_path, attack, jwt_accounts(NODES)) == set()


@pytest.mark.parametrize("attack", ATTACKS)
async def test_one_account_for_all_nodes_is_not_enough(tmp_path: Path, attack: str) -> None:
    assert await effects(tmp_path, attack, jwt_accounts(NODES, together=True)) == IF_TOGETHER.get(attack, set())


async def effects(tmp_path: Path, attack: str, made: JwtAccounts) -> set[str]:
    """Return what an attack reaches on a server with these accounts."""
    async with AsyncExitStack() as stack:
        server = stack.enter_context(running_server(tmp_path / "nats", made.config, exec_prefix=END_WITH_TESTS))
        buckets = []
        for name, creds in {ADMIN: made.admin, **made.nodes}.items():
            write_private(tmp_path / f"{name}.creds", creds)
            settings = NatsSettings(
                servers=(server.url,),
                creds=str(tmp_path / f"{name}.creds"),
                inbox="_INBOX" if name == ADMIN else f"_INBOX_{name}",
                api_prefix=api_prefix("", "" if name == ADMIN else PREFIX),
            )
            buckets.append(Bucket(await stack.enter_async_context(open_session(settings, Random())), "b"))
        await create_bucket(buckets[0], MESH, replicas=1, memory=False)
        scene = Scene(*buckets)
        await scene.prepare()
        await ATTACKS[attack][0](scene)
        return await scene.effects()
