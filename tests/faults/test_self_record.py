"""Somebody touches an agent's own record."""

import msgspec
import pytest

from ikto_core.mesh.proofs import signed_value
from ikto_core.mesh.records import encode_record, record_key
from tests.agent_mesh import eventually
from tests.faults.conftest import Stopwatch
from tests.faults.harness import FaultMesh, device, own_key, stranger, subnet


@pytest.mark.fault("an agent's record is deleted")
def test_deleted(mesh: FaultMesh, converging: Stopwatch) -> None:
    """The running agent claims its subnet again."""
    agent = mesh.formed(3)[0]
    mesh.write(own_key(agent), None)
    with converging.running():
        eventually(lambda: mesh.read(str(subnet(agent))))
        mesh.assert_whole()


@pytest.mark.fault("an agent's record is overwritten with junk")
def test_junk(mesh: FaultMesh, converging: Stopwatch) -> None:
    """Junk belongs to no node, so the agent that holds the subnet writes its record again."""
    agent = mesh.formed(3)[0]
    mesh.write(own_key(agent), b"{junk")
    with converging.running():
        eventually(lambda: mesh.read(str(subnet(agent))) != b"{junk")
        mesh.assert_whole()


@pytest.mark.fault("an agent's record is overwritten with junk while it is down")
def test_junk_while_down(mesh: FaultMesh, converging: Stopwatch) -> None:
    """Its claim is saved, so at its next start the agent writes its record again."""
    agent = mesh.formed(3)[0]
    key = own_key(agent)
    agent.stop()
    mesh.write(key, b"{junk")
    with converging.running():
        agent.start()
        eventually(lambda: mesh.read(str(subnet(agent))) != b"{junk")
        mesh.assert_whole()


@pytest.mark.fault("an agent's record is replaced by another node's")
@pytest.mark.parametrize("address", ["", "auto"])
def test_taken(mesh: FaultMesh, converging: Stopwatch, address: str) -> None:
    """The agent writes it again, and counts an alarm; its peers do not notice."""
    victim = mesh.formed(3, **({"private_address": address} if address else {}))[0]
    held = subnet(victim)
    with converging.running():
        mesh.write(record_key(str(held)), encode_record(stranger(str(held))))
        eventually(lambda: victim.admin.status().counters.proof.alarms)
        mesh.assert_whole()
    assert subnet(victim) == held
    assert "own record was overwritten" in victim.log_text()


@pytest.mark.fault("an agent's record is replaced by another node's while it is stopped for a moment")
def test_taken_during_a_restart(mesh: FaultMesh, converging: Stopwatch) -> None:
    """It is as if it had not been stopped."""
    victim = mesh.formed(3)[0]
    held = subnet(victim)
    victim.stop()
    mesh.write(record_key(str(held)), encode_record(stranger(str(held))))
    with converging.running():
        victim.start()
        mesh.assert_whole()
    assert subnet(victim) == held


@pytest.mark.fault("an agent's record is replaced by a copy of its machine")
def test_cloned(mesh: FaultMesh, converging: Stopwatch) -> None:
    """The copy has taken over; the older agent releases the address and ends with exit code 4."""
    original = mesh.formed(3)[0]
    clone = msgspec.structs.replace(
        stranger(str(subnet(original)), key=original.public_key), name="clone", instance="0123456789abcdef"
    )
    with converging.running():
        clone = msgspec.structs.replace(clone, serial=10**15)  # later than any of the original's
        mesh.write(record_key(clone.allowed_ip), signed_value(clone, original.private_key, mesh.name, bytes(64)))
        assert original.wait(60) == 4
    assert not device(original).addresses
    assert "a copy of this machine" in original.log_text()
    mesh.assert_whole()
