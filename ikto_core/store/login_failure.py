"""Explains why a dial failed: what the server said or did, and what to do about it. Pure."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from nats.errors import SecureConnWantedError

from ikto_core.errors import NatsDeniedError, NatsError

REFUSED = ("authorization", "authentication")
"""Words in the messages, in lower case, with which a server refuses a login."""

FULL = "connections exceeded"
"""The end of the messages with which a server refuses one connection too many: of the server, the account, the user."""

UNREACHABLE_HINT = "check nats_url, and that the server is running"
TLS_FIRST_HINT = "if the server has handshake_first, set nats_tls_first; otherwise check that it is a NATS server"
NOT_TLS_FIRST_HINT = "nats_tls_first is only for a server with handshake_first; without that, remove it"
CLOSED_HINT = "the log of nats-server says why; it may have as many connections as max_connections allows"


@dataclass(frozen=True)
class Attempt:
    """What happened in one dial until it failed."""

    server: str  # for messages
    has_certificate: bool  # this client has a certificate
    tls_first: bool  # this client began with TLS
    expires_s: float  # when the credentials expire, in seconds since the epoch; 0: not known
    wants_certificate: bool = False  # the server requires client certificates
    was_accepted: bool = False  # there was a TCP connection
    had_info: bool = False  # the server sent its INFO
    spoke_plainly: bool = False  # the server sent something before TLS that was not read
    refusal: str = ""  # the last error message of the server; empty: none has arrived


def login_failure(attempt: Attempt, cause: Exception, now: float) -> NatsError:
    """Return the error that explains why a dial failed with `cause`, at `now` (seconds since the epoch)."""
    text = attempt.refusal or error_text(cause)
    if FULL in text.lower():
        hint = "raise the limit on the server (max_connections, or that of the account), or close other connections"
        return NatsError(f"{attempt.server} accepts no more connections: {text}", hint=hint)
    if by_tls := _tls_failure(attempt, cause, text):
        return by_tls
    if any(word in text.lower() for word in REFUSED):
        return _refused(attempt, text, now)
    return _broken(attempt, cause)


def _tls_failure(attempt: Attempt, cause: Exception, text: str) -> NatsError | None:
    """Return the error if server and client do not agree on TLS or on a certificate; None: it is something else."""
    server = attempt.server
    if isinstance(cause, ssl.SSLCertVerificationError):
        hint = "check that nats_tls_ca holds the CA that issued it, and that nats_url has the right host"
        return NatsError(f"{server} has an untrusted certificate: {cause.verify_message}", hint=hint)
    if isinstance(cause, SecureConnWantedError):
        hint = "nats_url or nats_tls_ca requires TLS: enable it on the server (or write wss:// for ws://)"
        return NatsError(f"{server} offers no TLS, so nothing was sent to it", hint=hint)
    if attempt.tls_first and not attempt.had_info and (attempt.spoke_plainly or isinstance(cause, ssl.SSLError)):
        return NatsError(f"{server} does not begin with TLS", hint=NOT_TLS_FIRST_HINT)
    if attempt.wants_certificate and isinstance(cause, ssl.SSLError | ConnectionError):  # TLS 1.3 may send no alert
        what = "refused the client certificate" if attempt.has_certificate else "requires a client certificate"
        hint = "set nats_tls_cert and nats_tls_key to a certificate that the server trusts"
        return NatsDeniedError(f"{server} {what}: {text}", hint=hint)
    return None


def _refused(attempt: Attempt, text: str, now: float) -> NatsDeniedError:
    if 0 < attempt.expires_s < now:
        expired = f"the creds file expired at {datetime.fromtimestamp(attempt.expires_s, UTC):%F %T} UTC"
        hint = "replace nats_creds by a renewed file; a running agent will use it"
        return NatsDeniedError(f"{attempt.server} refused the login: {expired}", hint=hint)
    hint = "check the user, password, token, seed or creds file"
    return NatsDeniedError(f"{attempt.server} refused the login: {text}", hint=hint)


def _broken(attempt: Attempt, cause: Exception) -> NatsError:
    """Return the error for a server that could not be reached, said nothing, or closed the connection."""
    if isinstance(cause, ImportError):  # nats-py's, before it dials
        reason = "WebSockets need aiohttp, which is not installed"
        return NatsError(f"{attempt.server} can't be reached: {reason}", hint="pip install 'ikto[websocket]'")
    error = unreachable(attempt.server, cause)
    if attempt.was_accepted and not attempt.had_info and not attempt.tls_first:
        error.hint = TLS_FIRST_HINT
    elif attempt.had_info and isinstance(cause, ConnectionError | ssl.SSLError):  # its last message was no TLS
        error.hint = CLOSED_HINT
    return error


def unreachable(server: str, cause: Exception) -> NatsError:
    """Return the error for a server that can't be reached because of `cause`."""
    return NatsError(f"{server} can't be reached: {error_text(cause)}", hint=UNREACHABLE_HINT)


def error_text(cause: Exception) -> str:
    """Return the text of an error, at most 200 characters."""
    if isinstance(cause, TimeoutError) and not cause.args:
        return "no answer in time"
    text = str(cause).removeprefix("nats: ").strip("'")
    return text[:200] or type(cause).__name__
