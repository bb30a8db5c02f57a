"""How a login is made of the settings and of the files that they name, and what it means when it fails."""

import base64
import binascii
import re
import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec
from msgspec import Meta
from nats.aio.client import RawCredentials
from nats.errors import SecureConnWantedError

from ikto_core.disk.atomic_file import read_bounded
from ikto_core.errors import ConfigError, NatsDeniedError, NatsError
from ikto_core.store.session import NatsSettings

MAX_FILE_BYTES = 2**20
"""A bundle of all public CAs has a quarter of it."""

REFUSED = ("authorization", "authentication")
"""What a server's messages contain, in lower case, when it does not let us in."""

# The form that `nsc` writes (NATS ADR-14, JWT and seed between lines of dashes); a seed may also stand alone.
USER_JWT = re.compile(rb"-BEGIN NATS USER JWT-+\s+([\w-]+\.([\w-]+)\.[\w-]+)\s")
USER_SEED = re.compile(rb"^[ \t]*(SU[A-Z2-7]{56})[ \t\r]*$", re.MULTILINE)


class LoginFileError(ConfigError):
    """A file that the login needs can't be used. It is read anew at the next dial."""


@dataclass(frozen=True)
class Login:
    """What one dial of one server needs."""

    server: str  # its URL, without user and password
    options: dict[str, Any] = field(repr=False)  # for nats-py
    needs_tls: bool  # nothing is to be sent before the connection has been upgraded to TLS
    has_certificate: bool
    expires_s: float  # when the creds file says that it ends, in seconds since the epoch; 0: it does not say


def prepare_login(settings: NatsSettings, server: str) -> Login:
    """Return how to log in to a server, from files as they are now.

    A user and password in the URL are percent-decoded; a user alone is a token. LoginFileError if a file can't be used.
    """
    url = urlsplit(server)
    options: dict[str, Any] = {}
    expires_s = 0.0
    if settings.creds:
        options["user_credentials"], expires_s = _creds(settings.creds)
    elif settings.nkey_seed:
        options["nkeys_seed_str"] = _seed(
            _read(settings.nkey_seed, "nats_nkey_seed"), settings.nkey_seed, "nats_nkey_seed"
        )
    else:
        options |= _shared_secret(settings, url)
    own_tls = bool(settings.tls_ca or settings.tls_cert)
    if own_tls:
        options["tls"] = _tls(settings)
    return Login(
        server=url._replace(netloc=url.netloc.rpartition("@")[2]).geturl(),
        options=options,
        needs_tls=url.scheme == "tls" or (own_tls and url.scheme != "wss"),  # wss is inside TLS from the first byte
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


def _read(path: str, member: str) -> bytes:
    try:
        return read_bounded(Path(path), limit=MAX_FILE_BYTES).content
    except ConfigError as error:
        raise LoginFileError(f"{member}: {error}", hint=error.hint) from None


class _Claims(msgspec.Struct):
    exp: Annotated[float, Meta(ge=0)] = 0


def _creds(path: str) -> tuple[RawCredentials, float]:
    """Return a creds file's content as nats-py can read it (it hangs for ever on some others), and its end."""
    content = _read(path, "nats_creds")
    found = USER_JWT.search(content)
    try:
        if not found:
            raise ValueError
        saved_claim = msgspec.json.decode(base64.urlsafe_b64decode(found[2] + b"=="), type=_Claims)
    except (ValueError, msgspec.MsgspecError):
        raise LoginFileError(f"nats_creds: {path}: holds no user JWT", hint="it is a file as `nsc` writes it") from None
    seed = _seed(content, path, "nats_creds")
    return RawCredentials(f"BEGIN NATS USER JWT\n{found[1].decode()}\nBEGIN USER NKEY SEED\n{seed}\n"), saved_claim.exp


def _seed(content: bytes, path: str, member: str) -> str:
    found = USER_SEED.search(content)
    if not found:
        raise LoginFileError(f"{member}: {path}: holds no seed of a user", hint="58 characters that begin with SU")
    raw = base64.b32decode(found[1] + b"======")
    if binascii.crc_hqx(raw[:-2], 0) != int.from_bytes(raw[-2:], "little"):  # the CRC that nkeys end in
        raise LoginFileError(f"{member}: {path}: the seed in it has a wrong character", hint="copy it again")
    return found[1].decode()


def _tls(settings: NatsSettings) -> ssl.SSLContext:
    """Return a context that trusts our CA, or the system's, and shows our certificate, if we have one."""
    cert, key = settings.tls_cert, settings.tls_key
    for member, path in (("nats_tls_ca", settings.tls_ca), ("nats_tls_cert", cert), ("nats_tls_key", key)):
        if path:
            _read(path, member)  # ssl's own errors do not name the file
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca or None)
    except (OSError, ValueError):
        raise LoginFileError(f"nats_tls_ca: {settings.tls_ca}: holds no certificate", hint="it is in PEM") from None
    try:
        if cert:
            context.load_cert_chain(cert, key or None, password="")
    except (OSError, ValueError) as error:
        wrong = f"can't be used with {key}" if key else "can't be used"
        reason = getattr(error, "reason", None) or "not readable"
        hint = "both are in PEM, belong together, and the key has no password"
        raise LoginFileError(f"nats_tls_cert: {cert}: {wrong}: {reason}", hint=hint) from None
    return context


def login_failure(login: Login, cause: Exception, *, wants_certificate: bool) -> NatsError:
    """Say what it means that a dial ended with `cause`, from a server that may want a certificate of its clients."""
    server, text = login.server, _words(cause)
    if isinstance(cause, ssl.SSLCertVerificationError):
        hint = "check that nats_tls_ca holds the CA that issued it, and the host in nats_url"
        return NatsError(f"{server} shows a certificate that we do not trust: {cause.verify_message}", hint=hint)
    if isinstance(cause, SecureConnWantedError):
        hint = "nats_url or nats_tls_ca asks for TLS: have the server offer it (or write wss:// for ws://)"
        return NatsError(f"{server} offers no TLS, so we sent it nothing", hint=hint)
    if wants_certificate and isinstance(cause, ssl.SSLError | ConnectionError):  # TLS 1.3 may hang up without a word
        what = "refused our certificate" if login.has_certificate else "wants a certificate of its clients"
        return NatsDeniedError(f"{server} {what}: {text}", hint="give nats_tls_cert and nats_tls_key that it trusts")
    if not any(word in text.lower() for word in REFUSED):
        return NatsError(f"{server} can't be reached: {text}", hint="check nats_url, and that the server runs")
    if 0 < login.expires_s < time.time():
        expired = datetime.fromtimestamp(login.expires_s, UTC)
        hint = "put a renewed nats_creds in its place; a running agent takes it up"
        return NatsDeniedError(f"{server} refused the login: the creds file expired at {expired:%F %T} UTC", hint=hint)
    hint = "check user, password, token, seed or creds file"
    return NatsDeniedError(f"{server} refused the login: {text}", hint=hint)


def _words(cause: Exception) -> str:
    """Return an error's text, if it is not too long."""
    text = str(cause).removeprefix("nats: ").strip("'")
    return text[:200] or type(cause).__name__
