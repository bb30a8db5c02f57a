"""Trust modes and layouts of the NATS server: what `ikto nats` prints for each, loaded into a real nats-server.

With "account:A…" there is one layout only: `record_trust` names the one account whose users have rights, so all nodes
are users of that account.
"""

import shlex
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ikto_core.lab.agent_process import write_private
from ikto_core.store.permissions import ADMIN, variable_word
from ikto_core.store.subjects import Subjects, api_prefix
from ikto_core.values.nkeys import sign_nkey
from tests.entitled import Account
from tests.printed import LAYOUTS, printed
from tests.store.credentials import USER, Nkey, Operator, creds_file

BUCKET = "b"
ACCOUNT = Account()
OPERATOR = Operator(account=ACCOUNT.key)
TRUST = {"any": "any", "proved": "proved", "account": f"account:{ACCOUNT.key.public}"}

ATTACKER, AUTO = "attacker", "auto"
"""Hostile nodes: one with a fixed address, and one whose private address is "auto", which may write every record."""

ADDRESSES = {f"node-{number}": f"fd10:{number}::" for number in range(1, 4)} | {ATTACKER: "fd10:99::", AUTO: AUTO}


def subnet_of(name: str) -> str:
    """Return the subnet of a node."""
    return f"{ADDRESSES[name]}/48"


class World(NamedTuple):
    """A trust mode, and a layout of accounts."""

    trust: str  # of TRUST
    layout: str  # of LAYOUTS

    @property
    def has_deputy(self) -> bool:
        """Whether the server writes another node's record for a node that may not."""
        return self.layout == "one account"

    @property
    def api_prefix(self) -> str:
        """The setting `nats_api_prefix` of the nodes."""
        return LAYOUTS[self.layout].nats_api_prefix

    @property
    def subjects(self) -> Subjects:
        """What a node publishes on."""
        return Subjects(BUCKET, api_prefix("", self.api_prefix))

    def __str__(self) -> str:
        return f"{self.trust} in {self.layout}"


WORLDS = [World(trust, "one account") for trust in TRUST]
WORLDS += [World(trust, "an account for each node") for trust in ("any", "proved")]


class User(NamedTuple):
    """A user of the server, with a password, or with a JWT and its seed."""

    name: str
    jwt: str = ""
    seed: str = ""

    def settings(self, directory: Path) -> dict[str, Any]:
        """Return the settings by which an agent, or the operator, logs in; a creds file is written in a directory."""
        if not self.jwt:
            return {"nats_user": self.name, "nats_password": f"{self.name}-secret"}
        path = directory / f"{self.name}.creds"
        write_private(path, creds_file(self.jwt, self.seed))
        return {"nats_creds": str(path)}

    def connect(self, nonce: str) -> Mapping[str, str]:
        """Return the members of CONNECT by which a client logs in."""
        if not self.jwt:
            return {"user": self.name, "pass": f"{self.name}-secret"}
        signature = urlsafe_b64encode(sign_nkey(self.seed, nonce.encode())).rstrip(b"=")
        return {"jwt": self.jwt, "sig": signature.decode()}


def server_of(world: World, directory: Path, set_variable: Callable[[str, str], None]) -> tuple[str, dict[str, User]]:
    """Return the configuration of nats-server, and its users by name.

    Args:
        world: What the server is for.
        directory: For the configuration that `ikto nats` reads.
        set_variable: Sets an environment variable of the server.

    """
    nodes = [f"{name}={address}" for name, address in ADDRESSES.items()]
    if world.trust == "account":
        command = ("permissions", "--nsc", "MESH")
        commands = printed(directory, command, nodes, record_trust=TRUST["account"]).splitlines()
        found = [_user(shlex.split(line)) for line in commands if not line.startswith("#")]
        admin = Nkey(USER)
        jwt = ACCOUNT.jwt(admin, [">"])
        return OPERATOR.config, {user.name: user for user in (*found, User(ADMIN, jwt, admin.seed))}
    set_variable("IKTO_ADMIN_PASSWORD", f"{ADMIN}-secret")
    for name in ADDRESSES:
        set_variable(f"IKTO_PASSWORD_{variable_word(name)}", f"{name}-secret")
    config = printed(directory, LAYOUTS[world.layout].command, nodes)
    return config, {name: User(name) for name in (*ADDRESSES, ADMIN)}


def _user(command: list[str]) -> User:
    """Return the user that a printed command for `nsc` adds."""
    given = dict(zip(command[3::2], command[4::2], strict=True))
    nkey = Nkey(USER)
    allowed = {"allow": given["--allow-sub"].split(",")}
    jwt = ACCOUNT.jwt(nkey, given["--allow-pub"].split(","), sub=allowed)
    return User(given["--name"], jwt, nkey.seed)
