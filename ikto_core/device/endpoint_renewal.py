"""Writes endpoints again as the device has them, after this host has moved.

wireguard-go sends to an endpoint from the address at which it was last reached, also if the host has lost it, until the
endpoint is written or no answer came for 15 s (expiredNewHandshake in its timers.go).
"""

from collections.abc import Set

from ikto_core.device.backend import Backend, read_peers
from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.values.keys import PublicKey


class EndpointRenewal:
    """The peers of one device whose endpoints are to be written again."""

    def __init__(self, backend: Backend, ifname: str) -> None:
        self._backend = backend
        self._ifname = ifname
        self._due: Set[PublicKey] = frozenset()

    def request(self, peers: Set[PublicKey]) -> None:
        """Have the endpoints of these peers written at the next `write`."""
        self._due |= peers

    async def write(self) -> Set[PublicKey]:
        """Write what is due; return the peers of it that there are. Raises BackendError: all is due again then."""
        keys, self._due = self._due, frozenset()
        try:
            return await self._rewrite(keys) if keys else frozenset()
        except BaseException:
            self._due |= keys
            raise

    async def _rewrite(self, keys: Set[PublicKey]) -> Set[PublicKey]:
        shown = await read_peers(self._backend, self._ifname, keys)
        patches = [PeerPatch(public_key=key, endpoint=peer.endpoint) for key, peer in shown.items() if peer.endpoint]
        if patches:
            await self._backend.apply(self._ifname, DevicePatch(peers=tuple(patches)))
        return shown.keys()
