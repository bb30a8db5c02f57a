"""A client's request to an agent over a `TrustedSocket`, and its answer. It imports no HTTP library."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path

import msgspec

from ikto_core.admin.trusted_socket import TrustedSocket
from ikto_core.admin.views import ErrorView
from ikto_core.errors import AgentDeniedError, IktoError, NoAgentError

PART_BYTES = 65536

LONGEST_LINE = 2**20
"""Bytes; an event has some kilobytes at most."""

STREAM_TIMEOUT_S = 60.0
"""An agent ends a stream of events before that, and the next request continues it."""


def exchange(connected: TrustedSocket, method: str, target: str) -> bytes:
    """Return the body of the answer. Raises IktoError if the agent reports an error, and what `ikto_errors` maps."""
    with _request(connected, method, target) as response:
        return b"".join(iter(lambda: response.read(PART_BYTES), b""))  # never as many at once as it says that it has


def lines(connected: TrustedSocket, target: str) -> Iterator[bytes]:
    """Yield the lines of the answer as they arrive. Raises as `exchange`."""
    with _request(connected, "GET", target) as response:
        yield from iter(lambda: response.readline(LONGEST_LINE), b"")


def _request(connected: TrustedSocket, method: str, target: str) -> HTTPResponse:
    connection = HTTPConnection("localhost")
    connection.sock = connected
    connection.request(method, target)
    response = connection.getresponse()
    if response.status < 400:
        return response
    with response:
        refusal = msgspec.json.decode(response.read(PART_BYTES), type=ErrorView)
    hint = refusal.hint or "check that the agent and this program have the same version"
    raise IktoError(f"the agent on {connected.path}: {refusal.error}", hint=hint)


@contextmanager
def ikto_errors(paths: Sequence[Path], timeout_s: float) -> Iterator[None]:
    """Translate errors of the connection and of decoding into IktoError."""
    where = " or ".join(map(str, paths))
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        hint = f"ikto agent -c FILE -s {where}" if len(paths) == 1 else "ikto agent -c FILE, or give its socket with -s"
        raise NoAgentError(f"no agent answers on {where}", hint=hint) from None
    except PermissionError as error:
        hint = "run as the agent's user, or as root"
        raise AgentDeniedError(f"{error.filename or where}: permission denied", hint=hint) from None
    except (TimeoutError, BlockingIOError):
        message = f"the agent on {where} did not answer within {timeout_s:g} s"
        raise IktoError(message, hint="see the agent's log") from None
    except (HTTPException, ConnectionError, ValueError, OverflowError, RecursionError) as error:
        # msgspec's errors are ValueErrors; a negative size of a chunk is one, too, or an OverflowError
        reason = str(error).strip() or type(error).__name__
        raise IktoError(
            f"the answer on {where} is not from an agent of this version: {reason}",
            hint="give the agent's socket with -s, or upgrade the older of agent and client",
        ) from None
    except OSError as error:
        raise IktoError(f"{where}: {error.strerror or error}") from None
