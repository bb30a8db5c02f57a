"""Tests of C22: no key of a device is shown to anybody else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import format_exception

from msgspec.structs import replace

from ikto_core.device.backend import Backend, BackendContext
from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.errors import BackendError
from ikto_core.testing.clauses import clause
from ikto_core.testing.contract_base import ContractBase
from ikto_core.testing.devices import create, private_key_of, public_key_of
from ikto_core.testing.secret_watch import SecretWatch, watched_secrets
from ikto_core.values.keys import PresharedKey

PRIVATE, PRESHARED = private_key_of(171), PresharedKey(bytes([173] * 32))


class SecretClauses(ContractBase):
    """The clause about secrets."""

    @clause("C22")
    async def test_keys_are_shown_to_nobody(
        self, backend: Backend, context: BackendContext, ifname: str, other_ifname: str
    ) -> None:
        """Looks at programs, their environment, files, output, logs and errors, of writes that work and that fail."""
        secret = replace(create(1), preshared_key=PRESHARED)
        await backend.delete(other_ifname)
        await self._device_with_peers(backend, ifname, 0)
        works = DevicePatch(private_key=PRIVATE, peers=(secret,))
        again = DevicePatch(
            private_key=PRIVATE, peers=(PeerPatch(public_key=public_key_of(1), preshared_key=PRESHARED),)
        )
        with _usual_umask(), watched_secrets(PRIVATE, PRESHARED) as watch:
            for patch in (works, again):
                await backend.apply(ifname, patch)
            await backend.read(ifname)
            await _look_at_errors(watch, backend, ifname, replace(works, listen_port=70000))
            await _look_at_errors(watch, backend, other_ifname, works)
            await _look_at_errors(watch, backend, ifname.ljust(16, "x"), works)
        watch.look_at_files(context.state_dir)
        if watch.found:
            raise AssertionError("; ".join(sorted(watch.found)[:3]))


async def _look_at_errors(watch: SecretWatch, backend: Backend, ifname: str, patch: DevicePatch) -> None:
    try:
        await backend.apply(ifname, patch)
    except BackendError as error:
        watch.look_at_text(f"the message of {type(error).__name__}", f"{error} {error.args} {error.hint}")
        watch.look_at_text(f"the cause of {type(error).__name__}, or a note", "".join(format_exception(error)))


@contextmanager
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)
