"""How the answer of a userspace device's process is read: whole answers, parts of one, and errors."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from ikto_core.device.model import PeerState
from ikto_core.errors import BackendError, NoSuchDeviceError
from ikto_core.linux import userspace, userspace_peers, wireguard
from ikto_core.testing.devices import public_key_of
from ikto_core.values.addressing import Endpoint, Prefix

WG = "wg0"
ONE, TWO = public_key_of(1), public_key_of(2)
SECRET = "5e" * 32
DEVICE = f"private_key={SECRET}\nlisten_port=51820\n"
FIRST = (
    f"public_key={ONE.hex()}\nendpoint=[fe80::1%3]:7\nallowed_ip=10.0.0.0/16\nlast_handshake_time_sec=9\nrx_bytes=5\n"
)
SECOND = f"public_key={TWO.hex()}\npreshared_key={'0' * 64}\npersistent_keepalive_interval=25\n"


@pytest.fixture(autouse=True)
def _sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(userspace, "SOCKETS", tmp_path)


class Process:
    """A process that answers each request with these parts, each in a turn of its own, and may end then."""

    def __init__(self, *parts: str, ends: bool = False) -> None:
        self._parts = parts
        self._ends = ends
        self._answers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> None:
        self._server = await asyncio.start_unix_server(self._connected, userspace.socket_of(WG))

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.gather(*self._answers)
        await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._answers.append(asyncio.ensure_future(self._answer(reader, writer)))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await reader.read(len(b"get=1\n\n")):
            writer.close()
            return
        with suppress(ConnectionError):  # the rest is not wanted
            for part in self._parts:
                writer.write(part.encode())
                await writer.drain()
                await asyncio.sleep(0)
            if not self._ends:
                await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_a_whole_answer_is_read_however_it_is_cut(size: int) -> None:
    answer = f"{DEVICE}{FIRST}{SECOND}errno=0\n\n"
    async with Process(*(answer[at : at + size] for at in range(0, len(answer), size))):
        assert await userspace_peers.userspace_keys(WG) == {ONE, TWO}
        assert await userspace_peers.userspace_peers(WG, {ONE, public_key_of(3)}) == {
            ONE: PeerState(
                public_key=ONE,
                endpoint=Endpoint("fe80::1%3", 7),
                allowed_ips=frozenset({Prefix.parse("10.0.0.0/16")}),
                last_handshake=9.0,
                rx_bytes=5,
            )
        }


@pytest.mark.parametrize("rest", ["errno=5\n\n", "\n", "\n\n", "errno=0x\n\n", f"private_key={SECRET}\n\n"])
async def test_an_answer_without_a_success_at_its_end_is_no_device_without_the_other_peers(rest: str) -> None:
    async with Process(DEVICE + FIRST, rest):
        for call in (userspace_peers.userspace_keys(WG), userspace_peers.userspace_peers(WG, {ONE, TWO})):
            with pytest.raises(BackendError, match="its process answers with") as caught:
                await call
            assert not isinstance(caught.value, NoSuchDeviceError)
            assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "line", ["rx_bytes=-1", "last_handshake_time_sec=" + "9" * 400, "endpoint=x", "persistent_keepalive_interval=65536"]
)
async def test_a_value_that_no_device_has_is_a_backend_error(line: str) -> None:
    async with Process(f"{FIRST}{line}\nerrno=0\n\n"):
        with pytest.raises(BackendError, match="can't parse"):
            await userspace_peers.userspace_peers(WG, {ONE})


async def test_a_public_key_that_is_none_is_a_backend_error() -> None:
    async with Process("public_key=xyz\nerrno=0\n\n"):
        with pytest.raises(BackendError, match="can't parse"):
            await userspace_peers.userspace_keys(WG)


async def test_a_process_that_ends_before_it_has_answered_serves_no_device() -> None:
    async with Process(DEVICE + FIRST, ends=True):
        with pytest.raises(NoSuchDeviceError, match="ended"):
            await userspace_peers.userspace_keys(WG)


async def test_a_socket_that_was_left_behind_does_not_hide_a_kernel_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """`wg` asks the kernel then, and removes the socket."""

    async def run_program(argv: tuple[str, ...], **_: object) -> str:
        assert argv[:2] == ("wg", "show")
        return f"{ONE.text}\n" if argv[-1] == "peers" else f"(none)\t(none)\t0\toff\n{ONE.text}{NOTHING}\n"

    async def has_wireguard(_: str) -> bool:
        return True

    async with Process():
        pass
    assert userspace.is_userspace(WG)
    monkeypatch.setattr(wireguard, "run_program", run_program)
    monkeypatch.setattr(wireguard, "has_wireguard", has_wireguard)
    assert await wireguard.wireguard_keys(WG) == {ONE}
    assert await wireguard.read_wireguard_peers(WG, {ONE}) == {ONE: PeerState(public_key=ONE)}


async def test_a_process_elsewhere_that_has_the_name_of_a_kernel_device_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`wg` prefers the process, which may serve another network namespace: it would get this device's key and peers."""

    async def run_program(argv: tuple[str, ...], **_: object) -> str:
        assert argv[0] == "ip"
        return '[{"ifname":"wg0","flags":[],"mtu":1420,"linkinfo":{"info_kind":"wireguard"},"addr_info":[]}]'

    monkeypatch.setattr(wireguard, "run_program", run_program)
    monkeypatch.setattr(wireguard, "if_nametoindex", lambda _: 7)
    monkeypatch.setattr(wireguard, "if_indextoname", lambda _: WG)
    async with Process():
        for call in (wireguard.find_wireguard(WG), wireguard.has_wireguard(WG)):
            with pytest.raises(BackendError, match="userspace one of the same name"):
                await call
    assert userspace.is_userspace(WG)
    assert await wireguard.find_wireguard(WG), "the socket was left behind: `wg` uses the kernel"
    assert await wireguard.has_wireguard(WG)


NOTHING = "\t(none)\t(none)\t(none)\t0\t0\t0\toff"
"""The columns of a peer in `wg show dump` after its public key."""
