"""Prepares the login to a server from the settings and credential files."""

import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from nats.aio.client import RawCredentials

from ikto_core.store.login_failure import Attempt
from ikto_core.store.login_files import LoginFileError, read_creds, read_login_file, read_seed
from ikto_core.store.session import NatsSettings


@dataclass(frozen=True)
class Login:
    """The login for one dial of one server."""

    server: str  # URL without user and password
    options: dict[str, Any] = field(repr=False)  # for nats-py
    needs_tls: bool  # send nothing before the connection is upgraded to TLS
    attempt: Attempt  # for the error if the dial fails


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
        options |= _of_url(url)  # used if the server does not ask for a signature, as by 0.3.0
    elif settings.nkey_seed:
        options["nkeys_seed_str"] = read_seed(settings.nkey_seed)
    else:
        options |= _shared_secret(settings, url)
    custom_tls = bool(settings.tls_ca or settings.tls_cert)
    if custom_tls:
        options["tls"] = _tls(settings)
    begins_with_tls = url.scheme == "wss"  # by itself
    tls_first = settings.tls_first and not begins_with_tls
    options["tls_handshake_first"] = tls_first
    if url.hostname and url.hostname.endswith("."):  # certificates have the name without the dot of the root
        options["tls_hostname"] = url.hostname.rstrip(".")
    label = f"{without_user(server)}{f' ({address})' if address else ''}"
    return Login(
        server=without_user(server),
        options=options,
        needs_tls=url.scheme == "tls" or ((custom_tls or tls_first) and not begins_with_tls),
        attempt=Attempt(label, bool(settings.tls_cert), tls_first, expires_s),
    )


def _shared_secret(settings: NatsSettings, url: SplitResult) -> dict[str, str]:
    if settings.token:
        return {"token": settings.token}
    if settings.user:
        return {"user": settings.user, "password": settings.password}
    return _of_url(url)


def _of_url(url: SplitResult) -> dict[str, str]:
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
