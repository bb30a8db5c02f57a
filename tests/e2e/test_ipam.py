"""Agents get their subnets from strategies: from a built-in one, and from that of another distribution."""

import os
import shutil
from pathlib import Path

import pytest

from ikto_core.builtin.ipam import HashStrategy
from ikto_core.mesh.records import record_key
from ikto_core.testing.ipam_requests import ask
from ikto_core.values.addressing import Prefix
from tests.e2e.conftest import Mesh

pytestmark = pytest.mark.e2e

RACK = Path(__file__).parents[2] / "examples/ikto-ipam-rack"


@pytest.fixture
def with_rack(mesh: Mesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mesh:
    """A mesh whose agents find the example as if it were installed."""
    installed = tmp_path / "ikto_ipam_rack-1.0.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: ikto-ipam-rack\nVersion: 1.0.0\n")
    (installed / "entry_points.txt").write_text("[ikto]\nrack = ikto_ipam_rack\n")
    paths = (tmp_path, RACK, os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(path) for path in paths if path))
    return mesh


def test_a_node_that_lost_all_but_its_key_finds_its_subnet_by_hash(mesh: Mesh) -> None:
    """Its disk, and its record too."""
    agent, other = (mesh.agent(private_address="auto", ipam="hash", removal_limit=100) for _ in range(2))
    first = mesh.assert_formed()[0].allowed_ip
    expected = next(HashStrategy().candidates(ask("fd10::/16", 48, public_key=agent.public_key)))
    assert Prefix.parse(first or "") == expected
    agent.stop()
    shutil.rmtree(agent.directory / "state")
    mesh.write(record_key(str(expected)), None)
    mesh.assert_formed(other)
    agent.start()
    assert mesh.assert_formed()[0].allowed_ip == first


@pytest.mark.slow
def test_a_strategy_of_another_distribution_places_nodes_by_their_names(with_rack: Mesh) -> None:
    mesh = with_rack
    agents = [mesh.agent(name=name, private_address="auto", ipam="rack") for name in ("r12-u07", "r12-u08")]
    statuses = mesh.assert_formed(*agents)
    assert [status.allowed_ip for status in statuses] == ["fd10:0:307::/48", "fd10:0:308::/48"]

    for name, code, words in (
        ("web-7", 3, "ikto: name: 'web-7' contains no rack and position (use a name such as r12-u07"),
        ("r12-u07", 4, "ikto: ipam 'rack' proposes no free subnet; 2 of 4294967295 subnets of the mesh fd10::/16"),
    ):
        refused = mesh.agent(name=name, private_address="auto", ipam="rack")
        assert refused.wait() == code
        said = [line for line in refused.log_text().splitlines() if line.startswith("ikto: ")]
        assert len(said) == 1
        assert said[0].startswith(words)
    mesh.assert_formed(*agents)
