"""Prepares the login to a server from the settings and credential files, and explains a failed one."""

import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from nats.aio.client import RawCredentials
from nats.errors import SecureConnWantedError

from ikto_core.errors import NatsDeniedError, NatsError
from ikto_core.store.login_files import LoginFileError, read_creds, read_login_file, read_seed
from ikto_core.store.session import NatsSettings

UNREACHABLE_HINT = "check nats_url, and that the server is running"
REFUSED = ("authorization", "authentication")
"""Words in the messages, in lower case, with which a server refuses a login."""


@dataclass(frozen=True)
class Login:
    """The login for one dial of one server."""

    server: str  # URL without user and password
    label: str  # the URL for messages, with the address that is dialled
    options: dict[str, Any] = field(repr=False)  # for nats-py
    needs_tls: bool  # send nothing before the connection is upgraded to TLS
    has_certificate: bool
    expires_s: float  # when the credentials expire, in seconds since the epoch; 0: not known


def without_user(server: str) -> str:
    """Return a server's URL without user and password."""
    url = urlsplit(server)
    return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()


def prepare_login(settings: NatsSettings, server: str, address: str = "") -> Login:
    """Return the login for a server, reading the credential files now.

    User and password in the URL are percent-decoded; a user without a password is a token. Raises LoginFileError if a
    file can't be used.
    """
    url = urlsplit(server)
    options: dict[str, Any] = {}
    expires_s = 0.0
    if settings.creds:
        creds = read_creds(settings.creds)
        options["user_credentials"], expires_s = RawCredentials(creds.text), creds.expires_s
    elif settings.nkey_seed:
        options["nkeys_seed_str"] = read_seed(settings.nkey_seed)
    else:
        options |= _shared_secret(settings, url)
    custom_tls = bool(settings.tls_ca or settings.tls_cert)
    if custom_tls:
        options["tls"] = _tls(settings)
    return Login(
        server=without_user(server),
        label=f"{without_user(server)}{f' ({address})' if address else ''}",
        options=options,
        needs_tls=url.scheme == "tls" or (custom_tls and url.scheme != "wss"),  # wss begins with TLS
        has_certificate=bool(settings.tls_cert),
        expires_s=expires_s,
    )


def _shared_secret(settings: NatsSettings, url: SplitResult) -> dict[str, str]:
    if settings.token:
        return {"token": settings.token}
    if settings.user:
        return {"user": settings.user, "password": settings.password}
    if url.password is not None:
        return {"user": unquote(url.username or ""), "password": unquote(url.password)}
    return {"token": unquote(url.username)} if url.username else {}


def _tls(settings: NatsSettings) -> ssl.SSLContext:
    """Return an SSL context with the configured CA, or the system's, and the configured client certificate, if any."""
    cert, key = settings.tls_cert, settings.tls_key
    for setting, path in (("nats_tls_ca", settings.tls_ca), ("nats_tls_cert", cert), ("nats_tls_key", key)):
        if path:
            read_login_file(path, setting)  # ssl's own errors do not name the file
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca or None)
    except (OSError, ValueError):
        raise LoginFileError(
            f"nats_tls_ca: {settings.tls_ca}: holds no certificate", hint="the file must be in PEM format"
        ) from None
    try:
        if cert:
            context.load_cert_chain(cert, key or None, password="")
    except (OSError, ValueError) as error:
        wrong = f"can't be used with {key}" if key else "can't be used"
        reason = getattr(error, "reason", None) or "not readable"
        hint = "both must be in PEM format and belong together, and the key must have no password"
        raise LoginFileError(f"nats_tls_cert: {cert}: {wrong}: {reason}", hint=hint) from None
    return context


def login_failure(login: Login, cause: Exception, *, wants_certificate: bool) -> NatsError:
    """Return the error that explains why a dial failed with `cause`.

    `wants_certificate`: the server requires client certificates.
    """
    server, text = login.label, _error_text(cause)
    if isinstance(cause, ssl.SSLCertVerificationError):
        hint = "check that nats_tls_ca holds the CA that issued it, and that nats_url has the right host"
        return NatsError(f"{server} has an untrusted certificate: {cause.verify_message}", hint=hint)
    if isinstance(cause, SecureConnWantedError):
        hint = "nats_url or nats_tls_ca requires TLS: enable it on the server (or write wss:// for ws://)"
        return NatsError(f"{server} offers no TLS, so nothing was sent to it", hint=hint)
    if wants_certificate and isinstance(cause, ssl.SSLError | ConnectionError):  # TLS 1.3 may close without an alert
        what = "refused the client certificate" if login.has_certificate else "requires a client certificate"
        return NatsDeniedError(
            f"{server} {what}: {text}",
            hint="set nats_tls_cert and nats_tls_key to a certificate that the server trusts",
        )
    if not any(word in text.lower() for word in REFUSED):
        return unreachable(server, cause)
    if 0 < login.expires_s < time.time():
        expired = datetime.fromtimestamp(login.expires_s, UTC)
        hint = "replace nats_creds by a renewed file; a running agent will use it"
        return NatsDeniedError(f"{server} refused the login: the creds file expired at {expired:%F %T} UTC", hint=hint)
    hint = "check the user, password, token, seed or creds file"
    return NatsDeniedError(f"{server} refused the login: {text}", hint=hint)


def unreachable(server: str, cause: Exception) -> NatsError:
    """Return the error for a server that can't be reached because of `cause`."""
    return NatsError(f"{server} can't be reached: {_error_text(cause)}", hint=UNREACHABLE_HINT)


def _error_text(cause: Exception) -> str:
    """Return the text of an error, at most 200 characters."""
    if isinstance(cause, TimeoutError) and not cause.args:
        return "no answer in time"
    text = str(cause).removeprefix("nats: ").strip("'")
    return text[:200] or type(cause).__name__
