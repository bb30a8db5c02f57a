"""What an operator writes: the configuration, and files with credentials and keys."""

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from ikto_core.config import SETTINGS, Config, blocked_plugins, load_config
from ikto_core.disk.key_file import load_private_key
from ikto_core.errors import ConfigError
from ikto_core.store.login import prepare_login
from ikto_core.store.session import NatsSettings
from tests.fuzz.target import CORPUS, Check, RefusedError, Target

SEPARATOR = b"\n----\n"
"""What follows it in an input of `config` are environment variables, one a line."""

SECRET = "correct-horse"
"""A password in the corpus; no message shows it."""

_IN_FILE = re.compile(rb'"nats_password":"%b"|"nats_url":"\w+://\w+:%b' % (SECRET.encode(), SECRET.encode()))
_IN_ENVIRONMENT = re.compile(rb"^IKTO_NATS_TOKEN=%b" % SECRET.encode(), re.MULTILINE)

CREDS_WORDS = (
    *(b"-----BEGIN NATS USER JWT-----\n", b"------END NATS USER JWT------\n", b"-----BEGIN USER NKEY SEED-----\n"),
    *(b"eyJ0eXAiOiJKV1QifQ", b".", b"SUAAA", b'{"exp":', b"e30", b"===="),
)


def _shows_secret(text: str, data: bytes) -> bool:
    """Return whether a text has the password, which the input has only where a password belongs."""
    content, _, variables = data.partition(SEPARATOR)
    belongs = bool(_IN_FILE.search(content) or _IN_ENVIRONMENT.search(variables))
    return SECRET in text and data.count(SECRET.encode()) == 1 and belongs


def _check_message(error: ConfigError, data: bytes) -> None:
    """Check that an error can be printed: no control characters, not endless, and no secret."""
    for text in (str(error), error.hint, *error.problems):
        assert text.isprintable(), repr(text[:200])
        assert len(text) < 1000, text[:200]
        assert not _shows_secret(text, data), text


def _check_config(config: Config, data: bytes) -> None:
    """Compute everything that the code asks a valid configuration for."""
    for name in dir(Config):
        if isinstance(getattr(Config, name), property):
            getattr(config, name)
    assert not _shows_secret(repr(config), data), repr(config)
    for server in config.nats_servers:
        prepare_login(NatsSettings(servers=(server,), user=config.nats_user, password=config.nats_password), server)


_CLAIMS = re.compile(rb"^\{.*$", re.MULTILINE)


def _user_jwt(claims: re.Match[bytes]) -> bytes:
    return b"e30." + base64.urlsafe_b64encode(claims[0]).rstrip(b"=") + b".c2ln"


def _environ(data: bytes) -> dict[str, str]:
    """Return the variables of an input, as `os.environ` has them."""
    lines = data.replace(b"\0", b"").decode(errors="surrogateescape").split("\n")
    return dict(line.split("=", 1) for line in lines if "=" in line[1:])


@contextmanager
def _open_config(directory: Path) -> Iterator[Check]:
    path = directory / "ikto.json"
    path.touch(0o600)

    def check(data: bytes) -> None:
        content, _, variables = data.partition(SEPARATOR)
        path.write_bytes(content)
        environ = _environ(variables)
        try:
            blocked_plugins(path, environ=environ)
            _check_config(load_config(path, environ=environ, overrides={}), data)
        except ConfigError as error:
            _check_message(error, data)
            raise

    yield check


@contextmanager
def _open_login(directory: Path) -> Iterator[Check]:
    """A file, read as credentials, as a seed, as a private key, as a CA, and as a certificate.

    A line that begins with `{` stands for a user JWT with these claims.
    """
    path = directory / "file"
    path.touch(0o600)
    server = "nats://127.0.0.1:4222"
    ways = [
        replace(NatsSettings(servers=(server,)), **{setting: str(path)}) for setting in ("creds", "nkey_seed", "tls_ca")
    ]
    ca = directory / "ca.pem"
    ca.touch(0o600)
    ca.write_bytes((CORPUS / "login" / "ca.pem").read_bytes())  # the system's CAs take 17 ms
    ways.append(NatsSettings(servers=(server,), tls_ca=str(ca), tls_cert=str(path), tls_key=str(path)))

    def check(data: bytes) -> None:
        path.write_bytes(_CLAIMS.sub(_user_jwt, data))
        refusals, used = 0, ways if b"CERTIFICATE" in data else ways[:2]
        for settings in used:
            try:
                login = prepare_login(settings, server)
                assert login.attempt.expires_s >= 0
            except ConfigError as error:
                _check_message(error, data)
                refusals += 1
        try:
            load_private_key(path)
        except ConfigError as error:
            _check_message(error, data)
            refusals += 1
        if refusals == len(used) + 1:
            raise RefusedError

    yield check


TARGETS = (
    Target(
        "config", 8, (ConfigError,), _open_config, (*(f'"{name}":'.encode() for name in SETTINGS), SEPARATOR, b"IKTO_")
    ),
    Target("login", 4, (), _open_login, CREDS_WORDS),
)
