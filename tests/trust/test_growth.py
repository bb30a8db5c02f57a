"""One node with the documented permissions, and nothing more, writes its own record again and again."""

import json

import pytest

from ikto_core.mesh.change_limit import AT_ONCE
from ikto_core.values.keys import PrivateKey
from tests.agent_mesh import eventually
from tests.trust.attacked_mesh import NODES, AttackedMesh, assert_all_follow_and_a_newcomer_joins, attackers_record

REWRITES = 375


@pytest.mark.slow
@pytest.mark.e2e
def test_a_record_that_names_other_keys_with_each_write_leaves_one_peer_and_costs_few_writes(
    mesh: AttackedMesh,
) -> None:
    before = [agent.admin.status().counters.reconcile for agent in mesh.agents]
    for _ in range(REWRITES):
        last = attackers_record(next_public_key=PrivateKey.generate().public())
        mesh.write_own(b"NATS/1.0\r\n\r\n", last)

    def all_seen() -> bool:
        return all(agent.admin.status().counters.record.delayed >= REWRITES - 2 * AT_ONCE for agent in mesh.agents)

    eventually(all_seen)
    eventually(lambda: all(has_key(mesh, last, n) for n in range(2)), timeout_s=60)
    for agent, counters in zip(mesh.agents, before, strict=True):
        status = agent.admin.status()
        assert status.device
        assert len(status.device.peers) == 2
        assert (status.pending_removals, status.pending_key_changes) == ((), ())
        assert status.frequent_records == (NODES["attacker"],)
        assert status.counters.reconcile.peers_written - counters.peers_written < 3 * AT_ONCE
        assert agent.log_text().count("records change too often") == 1
    assert_all_follow_and_a_newcomer_joins(mesh)


def has_key(mesh: AttackedMesh, record: bytes, number: int) -> bool:
    """Return whether the device of an agent has the key that a record names, and no further one of the attacker."""
    device = mesh.agents[number].admin.status().device
    assert device
    names = [peer.public_key for peer in device.peers if peer.name == "attacker"]
    return names == [json.loads(record)["public_key"]]
