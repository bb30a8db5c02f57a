"""A client's connection to an agent: only root or this user may listen there, and what is read is bounded."""

import os
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ikto_core.disk.access import user_name
from ikto_core.errors import IktoError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""The status of 10,000 peers has 2 MB."""

_CREDENTIALS = struct.Struct("3i")  # struct ucred: process, user, group


class TrustedSocket(socket.socket):
    """A unix socket whose reads take at most `timeout_s` and MAX_ANSWER_BYTES altogether."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        """Connect to the path. Raises IktoError if another user listens there, and OSError."""
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self.path = path
        self._ends_at = time.monotonic() + timeout_s
        self._bytes_left = MAX_ANSWER_BYTES
        try:
            self.settimeout(timeout_s)
            self.connect(str(path))
            _check_user(path, peer_user(self)[1])
        except BaseException:
            self.close()
            raise

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:
        """Read as any socket does. Raises TimeoutError or IktoError at the bounds."""
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self.settimeout(left_s)
        count = super().recv_into(buffer, nbytes, flags)
        self._bytes_left -= count
        if self._bytes_left < 0:
            message = f"the answer on {self.path} has more than {MAX_ANSWER_BYTES // 2**20} MiB"
            raise IktoError(message, hint="give the agent's socket with -s")
        return count


def first_agent(paths: Sequence[Path], timeout_s: float) -> TrustedSocket:
    """Return a connection to the first of these paths where a process listens.

    Raises IktoError if another user's file is there: whoever made it may have put it there for others to find. Raises
    the last path's OSError if none listens, a PermissionError first of all.
    """
    failure: OSError = FileNotFoundError()
    for path in paths:
        try:
            _check_user(path, path.lstat().st_uid)
            return TrustedSocket(path, timeout_s)
        except PermissionError as error:
            failure = error
            failure.filename = str(path)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
            failure = failure if isinstance(failure, PermissionError) else error
    raise failure


def peer_user(connection: socket.socket) -> tuple[int, int]:
    """Return process and effective user of the process that listens at the other end (SO_PEERCRED, unix(7)).

    The process is 0 if it is in another container.
    """
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(found)
    return pid, uid


def _check_user(path: Path, uid: int) -> None:
    if uid not in (0, os.geteuid()):
        hint = "if that user runs the agent, ask it as that user (sudo -u); otherwise give the agent's socket with -s"
        raise IktoError(f"{path}: not trusted, it belongs to {user_name(uid)}", hint=hint)
