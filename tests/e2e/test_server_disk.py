"""A disk that is full at the NATS server costs no peer, no address and no agent; with space again all goes on."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ikto_core.errors import NatsError
from ikto_core.lab.nats_server import running_server
from tests.e2e.conftest import IMPATIENT, mesh_on
from tests.forked import END_WITH_TESTS

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB, for the streams of a server in its parent directory."""
    path = tmp_path / "nats" / "jetstream"
    path.mkdir(parents=True)
    with ExitStack() as stack:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(path)], check=True)
        stack.callback(subprocess.run, ["umount", "--lazy", str(path)], check=True)
        yield path


def fill(directory: Path) -> Path:
    """Fill the disk that the directory is on; return the file that does it."""
    file = directory / "filler"
    with pytest.raises(OSError, match="No space left"), file.open("wb", buffering=0) as filler:  # noqa: PT012
        while True:
            filler.write(bytes(512))
    return file


@pytest.mark.slow
def test_a_full_disk_at_the_server_removes_no_peer_and_ends_no_agent(disk: Path) -> None:
    with running_server(disk.parent, exec_prefix=END_WITH_TESTS) as server, mesh_on(server) as mesh:
        first, second = mesh.agent(program=IMPATIENT), mesh.agent(program=IMPATIENT)
        mesh.assert_formed()
        filler = fill(disk)
        with pytest.raises(NatsError):  # noqa: PT012 - the last blocks have room for some
            for number in range(16):
                mesh.write(f"junk.{number}", bytes(4000))
        for agent in (first, second):
            status = agent.admin.status()
            assert status.device
            assert (status.private_address, len(status.device.peers)) != (None, 0)
        server.stop()
        filler.unlink()
        server.start()
        mesh.agent(program=IMPATIENT)
        mesh.assert_formed()
        assert first.running
        assert second.running
