"""Creates what a login needs: settings, nkeys and the JWTs that they sign, creds files, certificates."""

import base64
import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import nkeys  # type: ignore[import-untyped]
import pytest

from ikto_core.agent.from_config import nats_settings
from ikto_core.config import config_from_flags
from ikto_core.errors import IktoError
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings

PASSWORD = "p4ss:w@rd/%"
WRONG = "wr0ng-secret"
TOKEN = "t0ken-for-tests"
SECRETS = [PASSWORD, "p4ss", WRONG, TOKEN, "eyJ"]  # every JWT begins with eyJ; seeds are added when they are created

OPERATOR, ACCOUNT, USER = nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_USER
UNLIMITED = dict.fromkeys(("subs", "data", "payload"), -1)
ACCOUNT_LIMITS = UNLIMITED | dict.fromkeys(("conn", "leaf", "imports", "exports"), -1)
STORAGE = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)


def settings(url: str, **values: str) -> NatsSettings:
    """Return the NATS settings of an agent with these settings in its configuration."""
    config = config_from_flags({"private_address": "auto", "nats_url": url} | values)
    return nats_settings(config, "test")


async def log_in(given: NatsSettings) -> str:
    """Log in and return the URL of the connected server."""
    async with open_session(given, Random()) as session:
        return session.server


async def login_error(given: NatsSettings) -> IktoError:
    """Return the error of a login that must fail; it must be one line without secrets."""
    with pytest.raises(IktoError) as raised:
        await log_in(given)
    line = f"{raised.value} ({raised.value.hint})"
    assert "\n" not in line
    assert len(line) < 400
    assert [secret for secret in SECRETS if secret in line] == []
    return raised.value


class Nkey:
    """A new key pair for a role: OPERATOR, ACCOUNT or USER."""

    def __init__(self, role: int) -> None:
        self.seed: str = nkeys.encode_seed(os.urandom(32), role).decode()
        SECRETS.append(self.seed)
        self._pair = nkeys.from_seed(bytearray(self.seed, "ascii"))

    @property
    def public(self) -> str:
        """The public key, as in JWTs and the configuration of nats-server."""
        key: bytes = self._pair.public_key
        return key.decode().rstrip("=")

    def jwt(self, subject: "Nkey", claims: dict[str, Any], expires_s: float | None = None) -> str:
        """Return a NATS JWT (version 2) for `subject`, signed by this key, that expires at `expires_s`."""
        payload: dict[str, Any] = {"jti": "test", "iat": int(time.time()), "iss": self.public, "sub": subject.public}
        payload |= {"name": "test", "nats": claims | {"version": 2}}
        if expires_s is not None:
            payload["exp"] = int(expires_s)
        signed = f"{_part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_part(payload)}"
        return f"{signed}.{_base64url(self._pair.sign(signed.encode()))}"


def _part(value: dict[str, Any]) -> str:
    return _base64url(json.dumps(value).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Operator:
    """An operator with a system account and one account for all users."""

    key: Nkey = field(default_factory=lambda: Nkey(OPERATOR))
    system: Nkey = field(default_factory=lambda: Nkey(ACCOUNT))
    account: Nkey = field(default_factory=lambda: Nkey(ACCOUNT))
    signing_keys: tuple[Nkey, ...] = ()  # of the account
    max_connections: int = -1  # of the account; -1: no limit

    @property
    def config(self) -> str:
        """A configuration of nats-server that trusts this operator and holds the accounts (resolver MEMORY)."""
        operator = self.key.jwt(self.key, {"type": "operator", "system_account": self.system.public})
        system = self.key.jwt(self.system, {"type": "account", "limits": ACCOUNT_LIMITS})
        claims = {"type": "account", "limits": ACCOUNT_LIMITS | STORAGE | {"conn": self.max_connections}}
        account = self.key.jwt(self.account, claims | {"signing_keys": [key.public for key in self.signing_keys]})
        return f"""
            operator: {operator}
            system_account: {self.system.public}
            resolver: MEMORY
            resolver_preload: {{ {self.system.public}: {system}, {self.account.public}: {account} }}
        """

    def creds(self, *, expires_s: float | None = None, user: Nkey | None = None) -> str:
        """Return the content of a creds file for an unrestricted user, by default a new one, until `expires_s`."""
        user = user or Nkey(USER)
        return creds_file(self.account.jwt(user, {"type": "user"} | UNLIMITED, expires_s), user.seed)


def creds_file(jwt: str, seed: str) -> str:
    """Return the content of a creds file, in the format that `nsc` writes."""
    return (
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )


@dataclass(frozen=True)
class Pem:
    """The files of a certificate and its key."""

    cert: Path
    key: Path


class Authority:
    """A CA with its files in `directory`, created by the program `openssl` (3.0 or later)."""

    def __init__(self, directory: Path, openssl: str) -> None:
        self._directory = directory
        self._openssl = openssl
        self.pem = self._make("ca", "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")

    def issue(self, name: str, san: str = "IP:127.0.0.1") -> Pem:
        """Create a certificate, by default for 127.0.0.1, valid for servers and clients."""
        signed_by = ("-CA", str(self.pem.cert), "-CAkey", str(self.pem.key))
        extensions = ("basicConstraints=critical,CA:FALSE", f"subjectAltName={san}")
        return self._make(name, *extensions, "extendedKeyUsage=serverAuth,clientAuth", signed_by=signed_by)

    def _make(self, name: str, *extensions: str, signed_by: tuple[str, ...] = ()) -> Pem:
        pem = Pem(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        command = [self._openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-subj", f"/CN={name}", "-days", "2", "-out", str(pem.cert), "-keyout", str(pem.key), *signed_by]
        for extension in extensions:
            command += ["-addext", extension]
        subprocess.run(command, check=True, capture_output=True)
        return pem
