"""Hostile nodes attack agents on a real nats-server, in every trust mode and every layout that `ikto nats` prints.

docs/security.md has the table of these attacks. Elsewhere is what needs no agent, or no second world: what reaches the
bucket and an inbox (tests/store/test_accounts_attacked.py), odd headers one by one and answers as pushes
(test_reading.py), growth (test_growth.py), and copied JWTs (test_account.py).
"""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from ikto_core.mesh.change_limit import AT_ONCE
from ikto_core.mesh.records import encode_record, record_key
from ikto_core.mesh.settings import MESH_KEY
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.values.keys import PrivateKey
from tests.agent_mesh import SETTINGS, eventually
from tests.trust.attacked_mesh import HEADER_BLOCKS
from tests.trust.hostile import (
    NEWCOMER,
    OTHER,
    OWN_KEY,
    VICTIM,
    HostileMesh,
    alarms,
    assert_unharmed,
    assert_unharmed_and_a_newcomer_joins,
    quarantine_reason,
)
from tests.trust.worlds import ATTACKER, WORLDS, World, subnet_of

pytestmark = pytest.mark.e2e

VICTIMS_KEY = record_key(subnet_of(VICTIM))


def in_worlds(trust: str, layout: str) -> Callable[[Any], Any]:
    """Run a test in every world, and by default in one only."""
    default = World(trust, layout)
    marks = {world: () if world == default else (pytest.mark.slow,) for world in WORLDS}
    return pytest.mark.parametrize("world", [pytest.param(w, marks=marks[w], id=str(w)) for w in WORLDS])


@in_worlds("any", "one account")
def test_what_the_server_writes_for_a_node_that_may_not_takes_nothing_from_another(hostile_mesh: HostileMesh) -> None:
    mesh = hostile_mesh
    reached = itertools.count(1)

    def await_alarm() -> None:
        if mesh.world.has_deputy:
            expected = next(reached)
            eventually(lambda: alarms(mesh.victim) >= expected and mesh.victims_record().name == VICTIM)

    mesh.have_written(VICTIMS_KEY, mesh.attacker.value(mesh.attacker.record(subnet_of(VICTIM))))
    await_alarm()
    for reply in mesh.replies(VICTIMS_KEY):
        mesh.attacker.ask("STREAM.INFO", reply)
    await_alarm()
    for reply in mesh.replies(VICTIMS_KEY):
        mesh.attacker.write(b"acknowledged", reply=reply)
    await_alarm()
    for reply in (b"ikto.b.x", b"ikto.b.\xff", b"_INBOX_node-1.x", b"_INBOX_node-2.\xff"):
        mesh.attacker.ask("STREAM.INFO", reply, times=20)
    assert_unharmed_and_a_newcomer_joins(mesh)
    reaches = mesh.world.has_deputy
    assert (mesh.other.admin.status().counters.proof.overwrites > 0) is reaches
    assert (mesh.victim.admin.status().counters.follower.junk_pushes > 0) is reaches
    assert ("own record was overwritten" in mesh.victim.log_text()) is reaches


@in_worlds("proved", "an account for each node")
def test_a_public_key_is_no_proof(hostile_mesh: HostileMesh) -> None:
    """Neither with an unknown `instance` nor with the victim's own, nor when the victim can't withdraw the record."""
    mesh = hostile_mesh
    victims = mesh.victims_record()
    decoys = tuple(f"203.0.113.{number}:1" for number in range(1, 17))
    forged = replace(
        victims,
        name="forged",
        allowed_ip=subnet_of(ATTACKER),
        endpoints=decoys,
        serial=0,
        user_jwt="",
        instance="f" * 16,
    )
    copied = mesh.victims_value().replace(b'"fd10:1::/48"', b'"fd10:99::/48"')
    assert copied != mesh.victims_value()
    for value in (copied, encode_record(replace(forged, instance=victims.instance)), encode_record(forged)):
        mesh.attacker.write(value)
        assert quarantine_reason(mesh.other, OWN_KEY, mesh.revision())
    eventually(lambda: alarms(mesh.victim))
    mesh.restart_victim()
    # Not the same `instance`: the restarted victim has taken it for one of its own.
    mesh.rob(VICTIMS_KEY, encode_record(replace(forged, allowed_ip=subnet_of(VICTIM), instance="e" * 16)))
    eventually(lambda: "without the proof of this node's key" in mesh.victim.log_text())
    eventually(lambda: mesh.victims_record().name == VICTIM)
    assert_unharmed_and_a_newcomer_joins(mesh)


@in_worlds("account", "one account")
def test_a_node_that_is_robbed_while_it_is_stopped_finds_its_peers_when_it_is_back(hostile_mesh: HostileMesh) -> None:
    mesh = hostile_mesh
    earlier = mesh.victims_value()
    mesh.restart_victim()
    mesh.assert_formed()
    mesh.victim.stop()
    latest = mesh.revision()
    mesh.rob(VICTIMS_KEY, earlier)
    assert "replay" in quarantine_reason(mesh.other, VICTIMS_KEY, latest + 1)
    mesh.rob(VICTIMS_KEY, mesh.attacker.value(mesh.attacker.record(subnet_of(VICTIM))))
    eventually(lambda: mesh.victims_value() != earlier)
    reason = quarantine_reason(mesh.other, VICTIMS_KEY, mesh.revision())
    assert f"it overwrites the record of public key {mesh.victim.public_key}" in reason
    mesh.victim.start()
    if mesh.world.trust != "account":  # a newcomer would take the other for the owner, and for ten minutes
        eventually(lambda: mesh.victims_record().name == VICTIM)
    assert_unharmed_and_a_newcomer_joins(mesh)
    assert alarms(mesh.victim) > 0
    counters = mesh.other.admin.status().counters.proof
    assert (counters.replays > 0, counters.overwrites > 0) == (True, True)


@in_worlds("proved", "one account")
def test_whatever_a_node_does_to_its_own_record_it_harms_nobody(hostile_mesh: HostileMesh) -> None:
    """Header blocks that readers stumble over, a rollup, and other keys with each write."""
    mesh = hostile_mesh
    record = mesh.attacker.record(subnet_of(ATTACKER))
    for number, block in enumerate((*HEADER_BLOCKS.values(), b"NATS/1.0\r\nNats-Rollup: all\r\n\r\n")):
        mesh.attacker.write(mesh.attacker.value(record), headers=block)
        mesh.auto.write(b"{}", record_key(f"fd10:8{number}::/48"), headers=block)  # which stays, for the newcomer
    rewrites = 4 * AT_ONCE
    for _ in range(rewrites):
        new = replace(record, next_public_key=PrivateKey.generate().public())
        mesh.attacker.write(mesh.attacker.value(new, PrivateKey.generate().clamped()))
    eventually(lambda: all(a.admin.status().counters.record.delayed > AT_ONCE for a in mesh.agents))
    assert_unharmed_and_a_newcomer_joins(mesh)
    assert mesh.on_bucket(lambda bucket: bucket.get(MESH_KEY))
    for agent in mesh.agents[:2]:
        status = agent.admin.status()
        assert status.frequent_records == (subnet_of(ATTACKER),)
        assert status.device
        assert len([peer for peer in status.device.peers if peer.name == ATTACKER]) <= 1
        assert len(status.device.peers) <= 3


@in_worlds("any", "one account")
def test_other_mesh_settings_stop_no_node_that_has_joined(hostile_mesh: HostileMesh) -> None:
    mesh = hostile_mesh
    others = json.dumps({"mesh_cidr": "fd99::/16", "subnet_prefix": 48}).encode()
    mesh.have_written(MESH_KEY, others)
    if mesh.world.has_deputy:
        eventually(lambda: all(agent.admin.status().mesh_settings_conflict for agent in mesh.agents))
    mesh.restart_victim()
    if mesh.world.has_deputy:
        assert "fd99::/16" in (mesh.victim.admin.status().mesh_settings_conflict or "")
        mesh.on_bucket(lambda b: create_bucket(b, SETTINGS, replicas=1, memory=False, overwrite_mesh=True))
    assert_unharmed_and_a_newcomer_joins(mesh)
    assert not any(agent.admin.status().mesh_settings_conflict for agent in mesh.agents)


@in_worlds("account", "one account")
def test_a_node_that_may_write_every_record_takes_none(hostile_mesh: HostileMesh) -> None:
    mesh = hostile_mesh
    others_key, before = record_key(subnet_of(OTHER)), mesh.read(subnet_of(OTHER))
    unproved = encode_record(mesh.auto.record(subnet_of(OTHER)))
    for value, key in ((b"junk", VICTIMS_KEY), (mesh.auto.value(mesh.auto.record(subnet_of(VICTIM))), VICTIMS_KEY)):
        mesh.auto.write(value, key)
    mesh.auto.write(unproved, others_key)
    mesh.auto.write(b"", others_key, headers=b"NATS/1.0\r\nKV-Operation: DEL\r\n\r\n")
    eventually(lambda: alarms(mesh.victim))
    eventually(lambda: mesh.read(subnet_of(OTHER)) not in {before, unproved, None})
    assert_unharmed_and_a_newcomer_joins(mesh)


@in_worlds("any", "an account for each node")
def test_who_can_write_the_record_of_a_free_subnet_keeps_a_newcomer_out_and_harms_nobody_else(
    hostile_mesh: HostileMesh,
) -> None:
    """This is open in every trust mode; the newcomer says why, and joins when the operator has deleted the record."""
    mesh = hostile_mesh
    free = record_key(subnet_of(NEWCOMER))
    mesh.rob(free, b"junk")
    eventually(lambda: mesh.read(subnet_of(NEWCOMER)))
    newcomer = mesh.next_agent()
    assert newcomer.wait() == 4
    assert "an unreadable record" in newcomer.log_text()
    mesh.write(free, None)
    newcomer.start()
    assert_unharmed(mesh)
