"""Somebody touches an agent's own record."""

import msgspec
import pytest

from ikto_core.mesh.records import encode_record, record_key
from tests.agent_mesh import eventually
from tests.faults.conftest import Stopwatch
from tests.faults.harness import FaultMesh, device, own_key, stranger, subnet


@pytest.mark.fault("an agent's record deleted")
def test_deleted(mesh: FaultMesh, converging: Stopwatch) -> None:
    """The living agent claims it again."""
    agent = mesh.formed(3)[0]
    mesh.write(own_key(agent), None)
    with converging.running():
        eventually(lambda: mesh.read(str(subnet(agent))))
        mesh.assert_whole()


@pytest.mark.fault("an agent's record overwritten with junk")
def test_junk(mesh: FaultMesh, converging: Stopwatch) -> None:
    """It is nobody's, so who held the subnet mends it."""
    agent = mesh.formed(3)[0]
    mesh.write(own_key(agent), b"{junk")
    with converging.running():
        eventually(lambda: mesh.read(str(subnet(agent))) != b"{junk")
        mesh.assert_whole()


@pytest.mark.fault("an agent's record overwritten with junk while it is down")
def test_junk_while_down(mesh: FaultMesh, converging: Stopwatch) -> None:
    """Its claim is kept, so at its next start it mends it."""
    agent = mesh.formed(3)[0]
    key = own_key(agent)
    agent.stop()
    mesh.write(key, b"{junk")
    with converging.running():
        agent.start()
        eventually(lambda: mesh.read(str(subnet(agent))) != b"{junk")
        mesh.assert_whole()


@pytest.mark.fault("an agent's record replaced by another's, the address configured")
def test_taken(mesh: FaultMesh, converging: Stopwatch) -> None:
    """It lets go: its device goes, and it ends with code 4."""
    loser = mesh.formed(3)[0]
    taken = stranger(str(subnet(loser)))
    with converging.running():
        mesh.write(taken.key, encode_record(taken))
        assert loser.wait(60) == 4
    assert not device(loser).addresses
    assert "is in use by 'stranger'" in loser.log_text()
    mesh.assert_whole()


@pytest.mark.fault("an agent's record replaced by another's, the address \"auto\"")
def test_taken_auto(mesh: FaultMesh, converging: Stopwatch) -> None:
    """It lets go and claims another subnet."""
    loser = mesh.formed(3, private_address="auto")[0]
    lost = subnet(loser)
    taken = stranger(str(lost))
    with converging.running():
        mesh.write(taken.key, encode_record(taken))
        eventually(lambda: subnet(loser) not in {None, lost})
        mesh.assert_whole()


@pytest.mark.fault("an agent's record replaced by a copy of its machine")
def test_cloned(mesh: FaultMesh, converging: Stopwatch) -> None:
    """The newcomer has taken over; the older one lets go and ends with code 4."""
    original = mesh.formed(3)[0]
    clone = msgspec.structs.replace(
        stranger(str(subnet(original)), key=original.public_key), name="clone", instance="0123456789abcdef"
    )
    with converging.running():
        mesh.write(record_key(clone.allowed_ip), encode_record(clone))
        assert original.wait(60) == 4
    assert not device(original).addresses
    assert "a copy of this machine" in original.log_text()
    mesh.assert_whole()
