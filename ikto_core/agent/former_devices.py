"""The devices that this node had before its `wg_dev_name` was changed: they have its port, and its addresses."""

from collections.abc import Iterator, Set
from pathlib import Path

import msgspec
import structlog

from ikto_core.agent.locks import is_in_use
from ikto_core.config import Config
from ikto_core.disk.state_file import SavedDevice, SavedState
from ikto_core.values.keys import PublicKey

log = structlog.get_logger(__name__)


def former_devices(config: Config, saved: SavedDevice | None, keys: Set[PublicKey]) -> tuple[str, ...]:
    """Return the names of this node's devices before the present one, in the same network namespace.

    Without `state_dir`, each device has a state directory of its own: those beside the present one are searched for
    devices with this node's key, but for those that an agent uses now.

    Args:
        config: The present configuration.
        saved: The device that the state file names.
        keys: The public keys of this node.

    """
    found = [saved] if saved else []
    if not config.state_dir:
        found += _devices_beside(config.state_path(), keys)
    names = dict.fromkeys(device.ifname for device in found if device.netns == config.netns)
    for device in found:
        if device.netns != config.netns and device.ifname not in names:
            log.warning("a former device may be left", ifname=device.ifname, netns=device.netns)
    return tuple(name for name in names if name != config.wg_dev_name)


def _devices_beside(directory: Path, keys: Set[PublicKey]) -> Iterator[SavedDevice]:
    for path in sorted(directory.parent.glob("*/state.json")):
        try:
            state = msgspec.json.decode(path.read_bytes(), type=SavedState)
        except (OSError, ValueError, RecursionError):  # it is its own agent that sets a damaged file aside
            continue
        mine = path.parent != directory and not keys.isdisjoint(state.public_keys)
        if mine and state.device and not is_in_use(path.parent):
            yield state.device
