"""The locks that an agent holds while it runs: one for its state directory, one for its device."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog

from ikto_core.config import Config
from ikto_core.device.backend import BackendPlugin
from ikto_core.disk.lock_file import locked
from ikto_core.disk.runtime_dir import private_runtime_dir
from ikto_core.errors import IktoError

LOCK_NAME = "lock"
"""The lock file's name in the state directory."""

_NAMED_NAMESPACES = Path("/var/run/netns")  # the directory of `ip netns`
_OWN_NAMESPACE = Path("/proc/self/ns/net")

log = structlog.get_logger(__name__)


@contextmanager
def agent_locks(
    config: Config, backend: BackendPlugin, sockets: Sequence[Path] = (), *, hint: str = ""
) -> Iterator[None]:
    """Hold the locks of the state directory and of the device; `sockets` are where this agent may be asked.

    `hint` is what to do if another agent holds one; empty: stop that agent, or share nothing with it.

    Raises IktoError if another agent holds one of them. A lock that can't be had for another reason, such as a missing
    permission, is logged.
    """
    device = device_lock(config) if backend.host_devices else None
    note = f"socket {' or '.join(map(str, sockets))}" if sockets else ""
    with ExitStack() as held:
        held.enter_context(_state_lock(config.state_path(), note, hint))
        if device:
            or_else = hint or "stop that agent, or set another wg_dev_name"
            held.enter_context(locked(device, config.wg_dev_name, hint=or_else, note=note))
        yield


@contextmanager
def _state_lock(directory: Path, note: str, hint: str) -> Iterator[None]:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        log.warning("no state directory", path=str(directory), error=str(error))
    hint = hint or "stop that agent, or set another state_dir"
    with locked(directory / LOCK_NAME, f"state_dir: {directory}", hint=hint, note=note):
        yield


def is_in_use(directory: Path) -> bool:
    """Return whether another agent runs with this state directory."""
    try:
        with locked(directory / LOCK_NAME, str(directory)):
            return False
    except IktoError:
        return True


def device_lock(config: Config) -> Path | None:
    """Return the lock file of the device; None if there is no directory for it, which is logged.

    Devices in different network namespaces have different locks, whatever the namespaces are called.
    """
    namespace = _NAMED_NAMESPACES / config.netns if config.netns else _OWN_NAMESPACE
    try:
        number = namespace.stat().st_ino
        return private_runtime_dir() / f"{config.wg_dev_name}@{number}.lock"
    except (OSError, IktoError) as error:  # without its namespace, the backend can't be opened either
        log.warning(
            "device not locked: a second agent would not be noticed", ifname=config.wg_dev_name, error=str(error)
        )
        return None
