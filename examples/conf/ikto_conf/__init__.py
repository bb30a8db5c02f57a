"""The backend `conf`: a .conf file for each device, which `wg syncconf` makes the device equal to."""

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

import ikto_core.plugins as ikto
from ikto_core.plugins import BackendError, DeviceEvent, DevicePatch, DeviceState, Endpoint, PublicKey


class ConfSettings(Struct, frozen=True):
    """The settings of this plugin."""

    directory: Annotated[str, Meta(min_length=1, description="Where the .conf files are.")] = "/etc/wireguard"


class ConfBackend:
    """The device is the only memory: a write reads it, folds the patch into its state, and writes the result."""

    def __init__(self, directory: Path, worker: ikto.Worker) -> None:
        self._directory = directory
        self._worker = worker  # syncing a file to disk may take long

    async def read(self, ifname: str) -> DeviceState | None:
        """Return the state of the device; None if it is absent."""
        return await ikto.read_wireguard(ifname)

    async def create(self, ifname: str) -> None:
        """Create the device unless it exists."""
        await ikto.create_wireguard(ifname)

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        """Write the file with the patch, and let `wg` read the same."""
        ikto.check_patch(ifname, patch)
        async with ikto.locked_directory(self._directory):
            before = await ikto.read_wireguard(ifname)
            if before is None:
                raise ikto.NoSuchDeviceError(f"there is no device {ifname!r}")
            state = ikto.patched_device(before, patch)
            more = "".join(f"Address = {address}\n" for address in sorted(map(str, state.addresses)))
            known = {key: peer.endpoint for key, peer in state.peers.items()}
            text = "".join(conf(state, known, f"{more}MTU = {state.mtu}\n"))
            await self._change(partial(ikto.replace_file, self._file(ifname), text.encode()))
            named = {peer.public_key: peer.endpoint for peer in patch.peers}  # the other peers may have moved
            await ikto.run_program(("wg", "syncconf", ifname, "/dev/stdin"), conf(state, named), ifname=ifname)
            await ikto.write_link(ifname, patch)

    async def delete(self, ifname: str) -> None:
        """Delete the device and its file."""
        async with ikto.locked_directory(self._directory):
            await ikto.delete_wireguard(ifname)
            await self._change(partial(self._file(ifname).unlink, missing_ok=True))

    def events(self) -> AsyncGenerator[DeviceEvent, None]:
        """Yield the changes of links and addresses. Nothing reports changes of peers."""
        return ikto.watch_links()

    def _file(self, ifname: str) -> Path:
        return self._directory / f"{ifname}.conf"

    async def _change(self, call: Callable[[], None]) -> None:
        try:
            await self._worker.run(call)
        except OSError as error:
            raise BackendError(f"{self._directory}: {error.strerror}", hint="Is the disk full?") from None


def conf(state: DeviceState, endpoints: Mapping[PublicKey, Endpoint | None], more: str = "") -> Iterator[str]:
    """Yield what `wg syncconf` reads; `more` is for wg-quick. A peer that is not in `endpoints` keeps its own."""
    yield f"[Interface]\n{more}"
    if state.private_key:
        yield f"PrivateKey = {state.private_key.text}\n"
    yield f"ListenPort = {state.listen_port}\nFwMark = {state.fwmark}\n"
    for key, peer in state.peers.items():
        yield ikto.peer_section(
            ikto.PeerPatch(
                public_key=key,
                allowed_ips=peer.allowed_ips,
                endpoint=endpoints.get(key),
                persistent_keepalive=peer.persistent_keepalive,
                preshared_key=peer.preshared_key or ikto.NO_PRESHARED_KEY,  # else `wg` keeps the old one
            )
        )


@asynccontextmanager
async def open_conf(context: ikto.BackendContext) -> AsyncGenerator[ikto.Backend, None]:
    """Yield a backend; the devices and their files stay when it closes."""
    if context.netns is not None:
        raise BackendError("conf does not support the setting netns", hint="run the agent there: ip netns exec")
    settings: ConfSettings = context.settings
    async with ikto.open_worker() as worker:
        yield ConfBackend(Path(settings.directory), worker)


@ikto.hookimpl
def ikto_register_backends() -> Iterable[ikto.BackendPlugin]:
    """Register the backend `conf`."""
    summary = "a .conf file for each device, read by wg syncconf"
    return [ikto.BackendPlugin(name="conf", summary=summary, open=open_conf, settings=ConfSettings)]
