"""The observer `hosts` keeps its block equal to the mesh, and says which names it does not write."""

from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ikto_core.builtin.observers import hosts
from ikto_core.builtin.observers.hosts import Hosts, open_hosts
from ikto_core.builtin.observers.names import host_names
from ikto_core.errors import IktoError
from ikto_core.observers.contract import (
    MeshEvent,
    ObserverContext,
    PeerAccepted,
    PeerChanged,
    PeerFacts,
    PeerRemoved,
    Resync,
)
from tests.builtin.peers import facts

OWNERS = b"127.0.0.1\tlocalhost\r\n10.9.9.9 printer"
B, C = facts(2, "node-b"), facts(3, "node-c")
BEGIN, END = b"# BEGIN ikto wg0 (the agent's: what is changed in here is lost)\n", b"# END ikto wg0\n"
WHOLE: list[MeshEvent] = [Resync(peers=2, quarantined=0), PeerAccepted(peer=B), PeerAccepted(peer=C)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_bytes(OWNERS)
    return path


@pytest.fixture
def observer(path: Path) -> Hosts:
    return Hosts(path, "wg0", {"node-a"})


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def block(*lines: bytes) -> bytes:
    owners_first, _, owners_last = OWNERS.partition(b"\n")
    ours = BEGIN + b"".join(line + b"\n" for line in lines) + END if lines else b""
    return owners_first + b"\n" + ours + owners_last


async def test_the_block_follows_the_mesh_and_goes_with_its_last_peer(path: Path, observer: Hosts) -> None:
    await observer.see(WHOLE)
    assert read(path) == block(b"fd10:0:2::1 node-b", b"fd10:0:3::1 node-c")
    moved = facts(2, "node-b", addresses=("fd10:0:9::1", "fd10:0:2::1"))
    await observer.see([PeerRemoved(peer=C), PeerChanged(peer=moved, before=B)])
    assert read(path) == block(b"fd10:0:9::1 node-b", b"fd10:0:2::1 node-b")
    await observer.see([PeerRemoved(peer=moved)])
    assert read(path) == OWNERS


async def test_what_an_earlier_agent_left_goes(path: Path, observer: Hosts) -> None:
    write(path, block(b"fd10:0:7::1 gone"))
    await observer.see([Resync(peers=1, quarantined=0), PeerAccepted(peer=B)])
    assert read(path) == block(b"fd10:0:2::1 node-b")


async def test_the_owners_names_come_first_and_a_refusal_is_told_once(path: Path, observer: Hosts) -> None:
    evil = [facts(4, "printer"), facts(5, "node-a"), facts(6, "x\n::1 bank\x1b")]
    with capture_logs() as logs:
        await observer.see([*WHOLE, *(PeerAccepted(peer=peer) for peer in evil)])
        await observer.see([PeerRemoved(peer=C)])
    assert read(path) == block(b"fd10:0:2::1 node-b")
    (told,) = logs
    assert (told["log_level"], told["number"]) == ("warning", 3)
    assert r"'x\n::1 bank\x1b': it is no host name" in told["names"]
    write(path, block().replace(b"printer", b"other"))
    await observer.see([PeerAccepted(peer=C)])
    assert b"\nfd10:0:4::1 printer\n" in read(path)


async def test_a_log_line_holds_no_more_than_so_many_names(observer: Hosts) -> None:
    with capture_logs() as logs:
        await observer.see([PeerAccepted(peer=facts(number, f"-{number}")) for number in range(1, 100)])
    assert (len(logs[0]["names"]), logs[0]["number"]) == (hosts.MOST_TOLD, 99)


async def test_while_somebody_else_writes_it_is_tried_again(
    path: Path, observer: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "TRY_AGAIN_S", 0)
    with path.open("rb") as file:
        flock(file, LOCK_EX)
        with pytest.raises(IktoError, match="somebody else is writing it"):
            await observer.see(WHOLE)
    await observer.see([PeerRemoved(peer=C)])
    assert read(path) == block(b"fd10:0:2::1 node-b")


async def test_two_meshes_on_one_host_have_a_block_each_and_a_name_once(path: Path, observer: Hosts) -> None:
    other = Hosts(path, "wg1", {"node-a"})
    await observer.see(WHOLE)
    await other.see([PeerAccepted(peer=facts(0x22, "node-b")), PeerAccepted(peer=facts(0x25, "node-e"))])
    text = read(path)
    assert text.count(b"node-b") == 1
    assert b"# BEGIN ikto wg1 (" in text
    assert b"\nfd10:0:25::1 node-e\n# END ikto wg1\n" in text


def context(argument: str, directory: Path) -> ObserverContext:
    return ObserverContext(
        argument=argument,
        ifname="wg0",
        mesh_cidr="fd10::/16",
        name="Me.example",
        state_dir=directory,
        nats_hosts=("bus", "nats.example.net"),
    )


async def test_it_opens_the_file_that_is_named_and_knows_what_this_host_and_its_nats_are_called(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "gethostname", lambda: "Host7.lan")
    async with open_hosts(context(str(path), path.parent)) as observer:
        names = ["me", "host7", "BUS", "node-b", "nats"]
        await observer.see([PeerAccepted(peer=facts(n, name)) for n, name in enumerate(names, 1)])
    assert read(path) == block(b"fd10:0:5::1 nats", b"fd10:0:4::1 node-b")  # which stays


async def test_a_path_that_is_not_absolute_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IktoError, match="needs an absolute path, not 'etc/hosts'"):
        async with open_hosts(context("etc/hosts", tmp_path)):
            pass


def test_it_is_etc_hosts_unless_another_one_is_named() -> None:
    assert hosts.DEFAULT_PATH == "/etc/hosts"


def test_peers_without_an_address_have_no_line() -> None:
    peer = PeerFacts(public_key="k", name="b", subnets=(), addresses=(), endpoints=(), revision=1)
    assert hosts.lines(host_names([peer], ours=(), others=())) == []
