"""The observer `hosts` keeps its block equal to the mesh, and logs the names that it refuses."""

from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ikto_core.builtin.observers import hosts
from ikto_core.builtin.observers.hosts import Argument, Hosts, open_hosts, parse_argument
from ikto_core.builtin.observers.names import Naming, host_names
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

REST = b"127.0.0.1\tlocalhost\r\n10.9.9.9 printer printer.ikto.internal"
B, C = facts(2, "node-b"), facts(3, "node-c")
BEGIN, END = b"# BEGIN ikto wg0 (managed by the Ikto agent: changes in this block are lost)\n", b"# END ikto wg0\n"
WHOLE: list[MeshEvent] = [Resync(peers=2, quarantined=0), PeerAccepted(peer=B), PeerAccepted(peer=C)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_bytes(REST)
    return path


@pytest.fixture
def observer(path: Path) -> Hosts:
    return Hosts(path, "wg0", {"node-a.ikto.internal"}, Naming())


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def block(*lines: bytes) -> bytes:
    before, _, after = REST.partition(b"\n")
    own = BEGIN + b"".join(line + b"\n" for line in lines) + END if lines else b""
    return before + b"\n" + own + after


async def test_the_block_follows_the_mesh_and_is_removed_with_the_last_peer(path: Path, observer: Hosts) -> None:
    await observer.see(WHOLE)
    assert read(path) == block(b"fd10:0:2::1 node-b.ikto.internal", b"fd10:0:3::1 node-c.ikto.internal")
    moved = facts(2, "node-b", addresses=("fd10:0:9::1", "fd10:0:2::1"))
    await observer.see([PeerRemoved(peer=C), PeerChanged(peer=moved, before=B)])
    assert read(path) == block(b"fd10:0:9::1 node-b.ikto.internal", b"fd10:0:2::1 node-b.ikto.internal")
    await observer.see([PeerRemoved(peer=moved)])
    assert read(path) == REST


async def test_entries_of_an_earlier_run_are_removed(path: Path, observer: Hosts) -> None:
    write(path, block(b"fd10:0:7::1 gone"))
    await observer.see([Resync(peers=1, quarantined=0), PeerAccepted(peer=B)])
    assert read(path) == block(b"fd10:0:2::1 node-b.ikto.internal")


async def test_names_in_the_rest_of_the_file_win_and_a_refusal_is_logged_once(path: Path, observer: Hosts) -> None:
    evil = [facts(4, "printer"), facts(5, "node-a"), facts(6, "x\n::1 bank\x1b")]
    with capture_logs() as logs:
        await observer.see([*WHOLE, *(PeerAccepted(peer=peer) for peer in evil)])
        await observer.see([PeerRemoved(peer=C)])
    assert read(path) == block(b"fd10:0:2::1 node-b.ikto.internal")
    (entry,) = logs
    assert (entry["event"], entry["log_level"], entry["number"]) == ("peer names refused", "warning", 3)
    assert r"'x\n::1 bank\x1b': not a valid host name" in entry["names"]
    write(path, block().replace(b"printer", b"other"))
    await observer.see([PeerAccepted(peer=C)])
    assert b"\nfd10:0:4::1 printer.ikto.internal\n" in read(path)


async def test_the_number_of_names_in_a_log_line_is_limited(observer: Hosts) -> None:
    with capture_logs() as logs:
        await observer.see([PeerAccepted(peer=facts(number, f"-{number}")) for number in range(1, 100)])
    assert (len(logs[0]["names"]), logs[0]["number"]) == (hosts.MAX_NAMES_LOGGED, 99)


async def test_while_another_process_writes_the_file_it_retries(
    path: Path, observer: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "RETRY_S", 0)
    with path.open("rb") as file:
        flock(file, LOCK_EX)
        with pytest.raises(IktoError, match="another process is writing it"):
            await observer.see(WHOLE)
    await observer.see([PeerRemoved(peer=C)])
    assert read(path) == block(b"fd10:0:2::1 node-b.ikto.internal")


async def test_two_meshes_on_one_host_have_a_block_each_and_no_name_twice(path: Path, observer: Hosts) -> None:
    other = Hosts(path, "wg1", {"node-a.ikto.internal"}, Naming())
    await observer.see(WHOLE)
    await other.see([PeerAccepted(peer=facts(0x22, "node-b")), PeerAccepted(peer=facts(0x25, "node-e"))])
    text = read(path)
    assert text.count(b"node-b.") == 1
    assert b"# BEGIN ikto wg1 (" in text
    assert b"\nfd10:0:25::1 node-e.ikto.internal\n# END ikto wg1\n" in text


def context(argument: str, directory: Path) -> ObserverContext:
    return ObserverContext(
        argument=argument,
        ifname="wg0",
        mesh_cidr="fd10::/16",
        name="Me.example",
        state_dir=directory,
        nats_hosts=("bus", "nats.example.net"),
    )


async def test_it_opens_the_configured_file_and_refuses_the_names_of_this_host_and_its_nats_servers(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "gethostname", lambda: "Host7.lan")
    async with open_hosts(context(f"short {path}", path.parent)) as observer:
        names = ["me", "host7", "BUS", "node-b"]
        await observer.see([PeerAccepted(peer=facts(n, name)) for n, name in enumerate(names, 1)])
    written = block(b"fd10:0:3::1 bus.ikto.internal", b"fd10:0:4::1 node-b", b"fd10:0:4::1 node-b.ikto.internal")
    assert read(path) == written  # stays after closing


@pytest.mark.parametrize("text", ["etc/hosts", "mesh.example", ".", "..a", ".a_b", "." + "a." * 95 + "b", "Short", "'"])
async def test_an_argument_that_makes_no_sense_is_rejected(tmp_path: Path, text: str) -> None:
    with pytest.raises(IktoError, match="the observer hosts can't") as caught:
        async with open_hosts(context(text, tmp_path)):
            pass
    assert "absolute path" in caught.value.hint


def test_an_argument_names_a_file_a_suffix_and_whether_short_names_are_written() -> None:
    assert parse_argument("") == Argument()
    assert parse_argument("/h .Mesh.example short") == Argument(Path("/h"), Naming("mesh.example", short=True))
    assert parse_argument("short '/a b'") == Argument(Path("/a b"), Naming(short=True))


def test_the_default_file_is_etc_hosts() -> None:
    assert hosts.DEFAULT_PATH == "/etc/hosts"


def test_a_peer_without_addresses_has_no_line() -> None:
    peer = PeerFacts(public_key="k", name="b", subnets=(), addresses=(), endpoints=(), revision=1)
    assert hosts.lines(host_names([peer], Naming(), own_names=(), other_names=())) == []
