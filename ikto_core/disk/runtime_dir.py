"""The directory of this user's locks and of the socket that is served if the usual one is taken."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from ikto_core.errors import IktoError

SYSTEM_RUNTIME_DIR = Path("/run/ikto")


def runtime_dir(*, environ: Mapping[str, str] = os.environ, uid: int | None = None) -> Path:
    """Return `ikto` in $XDG_RUNTIME_DIR; /run/ikto for root, and for users without that variable.

    `uid` None: the effective user id of this process.
    """
    base = environ.get("XDG_RUNTIME_DIR", "")
    is_root = (os.geteuid() if uid is None else uid) == 0  # sudo may leave the variable of another user
    return Path(base) / "ikto" if base.startswith("/") and not is_root else SYSTEM_RUNTIME_DIR


def private_runtime_dir() -> Path:
    """Return the runtime directory, which is created with mode 0700 if it is missing.

    Raises IktoError if it can't be created or if other users may open it: they could lock its files or replace them.
    """
    directory = runtime_dir()
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        status = directory.lstat()
    except OSError as error:
        hint = "" if "XDG_RUNTIME_DIR" in os.environ else "set XDG_RUNTIME_DIR to a directory of this user"
        raise IktoError(f"{directory}: can't be created: {error.strerror}", hint=hint) from None
    if not stat.S_ISDIR(status.st_mode):
        raise IktoError(f"{directory}: is not a directory", hint="remove it")
    if status.st_uid != os.geteuid():
        raise IktoError(f"{directory}: belongs to another user, with the id {status.st_uid}", hint=f"rm -r {directory}")
    if status.st_mode & 0o077:
        message = f"{directory}: has mode {stat.S_IMODE(status.st_mode):04o}, which lets other users open it"
        raise IktoError(message, hint=f"chmod 700 {directory}")
    return directory
