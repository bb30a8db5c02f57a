"""A client's request to an agent over a `TrustedSocket`, and its answer. h11 imports half as much as http.client."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h11
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
    return b"".join(_answer(connected, method, target))


def lines(connected: TrustedSocket, target: str) -> Iterator[bytes]:
    """Yield the lines of the answer as they arrive. Raises as `exchange`."""
    rest = b""
    for part in _answer(connected, "GET", target):
        *complete, rest = (rest + part).split(b"\n")
        yield from (line + b"\n" for line in complete)
        if len(rest) > LONGEST_LINE:
            raise ValueError("a line without end")
    if rest:
        yield rest


def _answer(connected: TrustedSocket, method: str, target: str) -> Iterator[bytes]:
    """Make a request, and yield the parts of the answer's body."""
    http = h11.Connection(h11.CLIENT)
    headers = [("Host", "localhost"), ("Connection", "close"), ("Content-Length", "0")]
    request = http.send(h11.Request(method=method, target=target, headers=headers)) or b""
    connected.sendall(request + (http.send(h11.EndOfMessage()) or b""))
    status, body = 0, b""
    for event in _events(http, connected):
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data) and status < 400:
            yield bytes(event.data)
        elif isinstance(event, h11.Data):
            body += event.data
    if status >= 400:
        raise _refusal(connected, body)


def _events(http: h11.Connection, connected: TrustedSocket) -> Iterator[h11.Event]:
    """Yield the events of one answer.

    Raises h11.RemoteProtocolError if it is none, or is not complete, and ConnectionError if nothing comes.
    """
    buffer = bytearray(PART_BYTES)
    while http.their_state not in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED):
        event = http.next_event()
        if event is h11.NEED_DATA:
            data = bytes(buffer[: connected.recv_into(buffer)])
            if not data and http.their_state is h11.SEND_RESPONSE and http.trailing_data == (b"", False):
                raise ConnectionResetError
            http.receive_data(data)
        elif isinstance(event, h11.Event):
            yield event


def _refusal(connected: TrustedSocket, body: bytes) -> IktoError:
    refusal = msgspec.json.decode(body, type=ErrorView)
    hint = refusal.hint or "check that the agent and this program have the same version"
    return IktoError(f"the agent on {connected.path}: {refusal.error}", hint=hint)


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
    except ConnectionError:
        message = f"the agent on {where} closed the connection before it had answered"
        raise IktoError(message, hint="ask again: it was stopping, or had too many clients; see its log") from None
    except (h11.ProtocolError, ValueError, OverflowError, RecursionError) as error:
        # msgspec's errors are ValueErrors; a negative size of a chunk is one, too, or an OverflowError
        reason = str(error).strip() or type(error).__name__
        raise IktoError(
            f"the answer on {where} is not from an agent of this version: {reason}",
            hint="give the agent's socket with -s, or upgrade the older of agent and client",
        ) from None
    except OSError as error:
        raise IktoError(f"{where}: {error.strerror or error}") from None
