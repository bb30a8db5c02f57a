"""The files that the configuration names: whether other users can read or change them."""

from collections.abc import Callable, Mapping
from pathlib import Path

from ikto_core.config.model import Config
from ikto_core.disk.access import Fault, change_fault, secret_fault
from ikto_core.disk.key_file import key_fault

Check = Callable[[Path, int, int], Fault | None]
"""Returns what is wrong with a file's mode and owner; None if nothing is."""


def _public_fault(path: Path, mode: int, _owner: int) -> Fault | None:
    return change_fault(path, mode)


CHECKS: Mapping[str, Check] = {
    "private_key_path": key_fault,
    "nats_creds": secret_fault,
    "nats_nkey_seed": secret_fault,
    "nats_tls_key": secret_fault,
    "nats_account_jwt": _public_fault,
    "nats_tls_ca": _public_fault,
    "nats_tls_cert": _public_fault,
}
"""The settings that name a file, and what an agent requires of it."""


def file_problems(config: Config) -> tuple[str, ...]:
    """Return a line for each file whose mode or owner an agent would refuse. Files that are missing are left out."""
    problems = []
    for setting, check in CHECKS.items():
        path = Path(getattr(config, setting))
        try:
            status = path.stat()
        except OSError:  # it may be on another host; the agent reports it when it starts
            continue
        if getattr(config, setting) and (fault := check(path, status.st_mode & 0o7777, status.st_uid)):
            problems.append(f"{setting}: {path}: {fault.wrong}; {fault.command}")
    return tuple(problems)
