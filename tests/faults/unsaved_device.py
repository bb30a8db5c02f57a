"""`python -m tests.faults.unsaved_device agent …`: `ikto agent` whose fake device does without its file on a full disk.

A real device is not a file, so a full disk does not keep it from being made.
"""

from contextlib import suppress
from pathlib import Path

from ikto_backends.fake import host, storage
from ikto_core.cli.main import main
from ikto_core.plugins import BackendError, DeviceState


def save_if_possible(state_dir: Path | None, ifname: str, state: DeviceState) -> None:
    with suppress(BackendError):
        storage.save_device(state_dir, ifname, state)


if __name__ == "__main__":
    vars(host)["save_device"] = save_if_possible
    main()
