"""The files that the configuration names: whether other users can read or change them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from stat import S_ISDIR

from ikto_core.config.model import Config
from ikto_core.disk.access import Fault, change_fault, secret_fault
from ikto_core.disk.key_file import key_fault, key_warning

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
    """Return a line for each file whose mode or owner an agent would refuse. Only files that exist are looked at."""
    return tuple(line for setting, check in CHECKS.items() if (line := _look(config, setting, check)))


def file_warnings(config: Config) -> tuple[str, ...]:
    """Return a line for a key file whose mode is accepted because 0.3.0 accepts it, and should be another."""
    line = _look(config, "private_key_path", key_warning)
    return (line,) if line else ()


def _look(config: Config, setting: str, check: Check) -> str:
    """Return the line about what is wrong with a setting's file; empty: nothing is, or there is no such file."""
    path = Path(getattr(config, setting))
    try:
        status = path.stat()
    except OSError:  # it may be on another host; the agent reports it when it starts
        return ""
    if S_ISDIR(status.st_mode):  # no file at all; the advice for one would be harmful
        return ""
    fault = check(path, status.st_mode & 0o7777, status.st_uid) if getattr(config, setting) else None
    return f"{setting}: {path}: {fault.wrong}; {fault.command}" if fault else ""
