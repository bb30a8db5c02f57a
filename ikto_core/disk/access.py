"""Who may read and change the files that an agent trusts.

Trusted are root, the agent's user, and the user who ran `sudo`. A file of root's may be readable for its group if the
agent is not root, since it could not be read otherwise; volumes of Kubernetes with an `fsGroup` are like that.
"""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

GROUP_READS, OTHERS_READ, OTHERS_WRITE = 0o040, 0o044, 0o022


class Fault(NamedTuple):
    """What is wrong with a file's mode or owner, as in "has mode 0644, which …", and the command that mends it."""

    wrong: str
    command: str


def secret_fault(path: object, mode: int, owner: int, *, refused: int = OTHERS_READ | OTHERS_WRITE) -> Fault | None:
    """Return why a file is not as safe as a secret must be; None if it is.

    Args:
        path: The file, for the command.
        mode: Its permission bits.
        owner: Its owner's user id.
        refused: The permission bits that a secret may not have.

    """
    user = os.geteuid()
    if owner not in trusted_users(user, os.environ):
        right = "root" if user == 0 else user_name(user).partition(" ")[0]
        return Fault(f"belongs to {user_name(owner)}, not to root or this user", f"chown {right} {path}")
    if owner == 0 and (user != 0 or _is_credential(path)):
        refused &= ~GROUP_READS
    if mode & refused & OTHERS_WRITE:
        return Fault(f"has mode {mode:04o}, which lets other users change it", f"chmod 600 {path}")
    if mode & refused:
        return Fault(f"has mode {mode:04o}, which lets other users read it", f"chmod 600 {path}")
    return None


def _is_credential(path: object) -> bool:
    """Return whether systemd gave this file to the service (LoadCredential=), in a directory that only it may enter.

    Such a file has mode 0440: its group bits are the mask of the access control list that lets the service read it.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return directory.startswith("/") and Path(str(path)).resolve().parent == Path(directory).resolve()


def change_fault(path: object, mode: int) -> Fault | None:
    """Return why other users can change a file that is no secret; None if they can't."""
    if mode & OTHERS_WRITE:
        return Fault(f"has mode {mode:04o}, which lets other users change it", f"chmod go-w {path}")
    return None


def trusted_users(user: int, environ: Mapping[str, str]) -> frozenset[int]:
    """Return the ids of the users whose secrets the user with this id may use."""
    behind_sudo = environ.get("SUDO_UID", "") if user == 0 else ""
    return frozenset({0, user, *([int(behind_sudo)] if behind_sudo.isdecimal() else [])})


def user_name(uid: int) -> str:
    """Return a user's name with the id; the id alone if it has no name here."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} (user id {uid})"
    except KeyError:
        return f"user id {uid}"
