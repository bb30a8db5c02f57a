"""Whose a device is: one that has the private key of somebody else is neither written to nor deleted."""

from collections.abc import Callable, Sequence, Set

import msgspec
import structlog

from ikto_core.device.backend import Backend, read_or_create
from ikto_core.device.model import DeviceState
from ikto_core.errors import ForeignDeviceError
from ikto_core.values.keys import PublicKey

log = structlog.get_logger(__name__)


class DeviceOwner(msgspec.Struct, frozen=True, kw_only=True):
    """What tells this node's device from others. A device without a private key belongs to nobody and may be used."""

    keys: Set[PublicKey] = frozenset()  # the public keys of this node, former ones too
    adopt: bool = True  # whether a device with another key may be used too
    former: Sequence[str] = ()  # devices that this node had under other names; those with one of its keys are deleted
    on_use: Callable[[], None] = lambda: None  # called once, before this run first writes to the device

    def owns(self, state: DeviceState) -> bool:
        """Return whether the device has one of this node's private keys."""
        return state.private_key is not None and state.private_key.public() in self.keys

    def require(self, ifname: str, state: DeviceState) -> None:
        """Raise ForeignDeviceError if the device has a private key that is none of this node's."""
        if self.adopt or state.private_key is None or self.owns(state):
            return
        public_key = state.private_key.public().text
        raise ForeignDeviceError(
            f"{ifname}: the device has a private key that is none of this node's (public key {public_key})",
            hint="set another wg_dev_name; or, if the device is not needed, delete it (`ip link delete "
            f"{ifname}`), or set adopt_device to true: its key, port, addresses and peers are replaced then",
        )


class OwnDevice:
    """The device of this node: found or created once. From then on another private key on it is drift.

    Every method raises BackendError, and ForeignDeviceError if the device is none of this node's.
    """

    def __init__(self, backend: Backend, ifname: str, owner: DeviceOwner) -> None:
        self.created = False  # this run has created the device
        self._backend = backend
        self._ifname = ifname
        self._owner = owner
        self._is_own = False  # the device was this node's, or free, when this run first read it

    def on(self, backend: Backend) -> "OwnDevice":
        """Return this device as driven by another backend, one that writes nothing; its use is not noted."""
        twin = OwnDevice(backend, self._ifname, msgspec.structs.replace(self._owner, on_use=lambda: None))
        twin._is_own = self._is_own
        return twin

    async def read_or_create(self) -> DeviceState:
        """Return the state of the device, which is created first if it is absent.

        At first the devices that this node had under other names are deleted: they have its port and its addresses.
        """
        state = await self._backend.read(self._ifname)
        if state is not None and self._is_own:
            return state
        if not self._is_own:
            if state is not None:
                self._owner.require(self._ifname, state)
            await self._delete_former()
            self._owner.on_use()
        if state is None:
            state, self.created = await read_or_create(self._backend, self._ifname), True
        if not self._is_own:
            self._owner.require(self._ifname, state)  # somebody else may have made it meanwhile
            self._is_own = True
        return state

    async def _delete_former(self) -> None:
        for ifname in self._owner.former:
            state = await self._backend.read(ifname)
            if state and self._owner.owns(state):
                log.warning("device has another name now, deleting the former one", ifname=self._ifname, former=ifname)
                await self._backend.delete(ifname)

    async def delete(self) -> None:
        """Delete the device."""
        if not self._is_own and (state := await self._backend.read(self._ifname)):
            self._owner.require(self._ifname, state)
        await self._backend.delete(self._ifname)
