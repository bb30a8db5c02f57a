"""The configuration of nats-server for a mesh, as text: users, permissions and accounts. Pure."""

import json
import shlex
from collections.abc import Iterable, Sequence

import msgspec

from ikto_core.store.permissions import (
    ADMIN,
    NodeAccess,
    Permissions,
    asker_permissions,
    node_permissions,
    reads,
    refuse_ambiguous,
    variable_word,
    writes,
)
from ikto_core.store.subjects import JETSTREAM_API, Subjects

STORE_ACCOUNT = "IKTO_STORE"
NODE_ACCOUNT = "IKTO_NODE_"
ADMIN_PASSWORD = "$IKTO_ADMIN_PASSWORD"  # noqa: S105 - the name of a variable

PASSWORDS = """\
# Passwords come from environment variables of nats-server. Put a password of digits alone in quotes."""

ONE_ACCOUNT = """\
# All these users are in one account. WITHIN ONE ACCOUNT, PERMISSIONS ARE NO BOUNDARY BETWEEN NODES: nats-server does
# not hold reply subjects to them. A node can have answers of the server stored under another node's key, or sent to
# the JetStream API, and so overwrite any record and delete the bucket. `ikto nats accounts` prints a layout that is."""

SEPARATE_ACCOUNTS = """\
# The bucket is in one account, and each node in an account of its own. A node reaches the bucket only through its
# imports, and other nodes not at all, whatever reply subject it names. Set "nats_api_prefix": {prefix} on all nodes."""

ANY_SUBNET_NOTE = '  # private_address is "auto": this node may write every record'


class MeshAccess(msgspec.Struct, frozen=True, kw_only=True):
    """The bucket of a mesh, and the nodes that may use it."""

    bucket: str
    nodes: tuple[NodeAccess, ...]
    leases: bool = False  # whether nodes renew leases
    answers: bool = True  # whether nodes answer questions about their health, and ask others
    asker: str = ""  # a user who may only read the bucket and ask; empty: none
    rights: bool = False  # whether records show rights: JWTs allow the subject of the record itself


def one_account(mesh: MeshAccess) -> str:
    """Return the users of a server on which all clients are in one account."""
    _refuse_ambiguous(mesh)
    subjects = Subjects(mesh.bucket)
    users = [_admin(), *_askers(mesh), *(_node_user(node, mesh, subjects) for node in mesh.nodes)]
    return _text(ONE_ACCOUNT, PASSWORDS, "authorization {", *_indented(_list("users", users)), "}")


def accounts(mesh: MeshAccess, api_prefix: str) -> str:
    """Return the accounts of a server on which the bucket and each node are in different ones.

    With all nodes in one account, a node could name another's import as reply subject, and so write its record.

    Args:
        mesh: The bucket and the nodes.
        api_prefix: The prefix under which nodes use the JetStream API of the bucket; ends with a dot.

    """
    _refuse_ambiguous(mesh)
    note = SEPARATE_ACCOUNTS.format(prefix=json.dumps(api_prefix.rstrip(".")))
    blocks = [line for node in mesh.nodes for line in _node_account(node, mesh, api_prefix)]
    return _text(note, PASSWORDS, "accounts {", *_indented([*_store_account(mesh), *blocks]), "}")


def nsc_commands(mesh: MeshAccess, account: str, subjects: Subjects) -> str:
    """Return the commands of NATS' program `nsc` that add the nodes as users with JWTs to an account."""
    _refuse_ambiguous(mesh)
    commands = [_nsc_command(node, mesh, account, subjects) for node in mesh.nodes]
    if mesh.asker:
        allowed = asker_permissions(mesh.asker, subjects)
        commands.append(_nsc_user(NodeAccess(name=mesh.asker), account, allowed.publish, allowed.subscribe))
    return _text(ONE_ACCOUNT, *commands)


def _nsc_command(node: NodeAccess, mesh: MeshAccess, account: str, subjects: Subjects) -> str:
    allowed = node_permissions(node, subjects, leases=mesh.leases, answers=mesh.answers)
    record = [Subjects(mesh.bucket).write(node.key)] if mesh.rights else []  # without a prefix of the API
    return _nsc_user(node, account, (*allowed.publish, *record), allowed.subscribe)


def _nsc_user(user: NodeAccess, account: str, publish: Sequence[str], subscribe: Sequence[str]) -> str:
    given = {"account": account, "name": user.name} | ({"public-key": user.nkey} if user.nkey else {})
    given |= {"allow-pub": ",".join(dict.fromkeys(publish)), "allow-sub": ",".join(subscribe)}
    return "nsc add user " + " ".join(f"--{name} {shlex.quote(value)}" for name, value in given.items())


# -- accounts ----------------------------------------------------------------------------------------------------------


def _store_account(mesh: MeshAccess) -> list[str]:
    everybody = json.dumps([_account(node) for node in mesh.nodes])
    exports = []
    for bucket, verb in reads(mesh.bucket, leases=mesh.leases):
        kind = ", response_type: stream" if verb == "DIRECT.GET" else ""
        exports.append(f"{{ service: {_quoted(Subjects(bucket).request(verb))}{kind}, accounts: {everybody} }}")
    for subject, names in _writers(mesh).items():
        exports.append(f"{{ service: {_quoted(subject)}, accounts: {json.dumps(names)} }}")
    exports += [f"{{ stream: {_quoted(subject)}, accounts: {everybody} }}" for subject in _followed(mesh)]
    lines = [
        "jetstream: enabled",
        *_list("users", [_admin(), *_askers(mesh)]),
        *_list("exports", [[export] for export in exports]),
    ]
    return [f"{STORE_ACCOUNT}: {{", *_indented(lines), "}"]


def _account(node: NodeAccess) -> str:
    return f"{NODE_ACCOUNT}{node.word}"


def _writers(mesh: MeshAccess) -> dict[str, list[str]]:
    """Return by subject of a write or an answer, as the bucket's account knows it, the accounts that may make it."""
    found: dict[str, list[str]] = {}
    for node in mesh.nodes:
        for bucket, key in writes(node, mesh.bucket, leases=mesh.leases):
            found.setdefault(Subjects(bucket).write(key), []).append(_account(node))
        if mesh.answers:
            found.setdefault(Subjects(mesh.bucket).answer(node.key), []).append(_account(node))
    return found


def _followed(mesh: MeshAccess) -> tuple[str, ...]:
    """Return the subjects of the bucket's account that nodes in other accounts receive."""
    subjects = Subjects(mesh.bucket)
    return (subjects.pushes, subjects.asked) if mesh.answers else (subjects.pushes,)


def _node_account(node: NodeAccess, mesh: MeshAccess, api_prefix: str) -> list[str]:
    used = [Subjects(bucket).request(verb) for bucket, verb in reads(mesh.bucket, leases=mesh.leases)]
    used += [Subjects(bucket).write(key) for bucket, key in writes(node, mesh.bucket, leases=mesh.leases)]
    if mesh.answers:
        used.append(Subjects(mesh.bucket).answer(node.key))
    imports = [
        f"{{ service: {{ account: {STORE_ACCOUNT}, subject: {_quoted(subject)} }}, "
        f"to: {_quoted(api_prefix + subject.removeprefix(JETSTREAM_API))} }}"
        for subject in used
    ]
    imports += [
        f"{{ stream: {{ account: {STORE_ACCOUNT}, subject: {_quoted(subject)} }} }}" for subject in _followed(mesh)
    ]
    user = _node_user(node, mesh, Subjects(mesh.bucket, api_prefix))
    lines = [*_list("users", [user]), *_list("imports", [[each] for each in imports])]
    return [f"{_account(node)}: {{", *_indented(lines), "}"]


# -- users -------------------------------------------------------------------------------------------------------------


def _admin() -> list[str]:
    return [f"{{ user: {_quoted(ADMIN)}, password: {ADMIN_PASSWORD} }}  # for `ikto bucket`"]


def _askers(mesh: MeshAccess) -> list[list[str]]:
    """Return the user who may only ask, if there is to be one."""
    if not mesh.asker:
        return []
    allowed = asker_permissions(mesh.asker, Subjects(mesh.bucket))
    lines = [_login(mesh.asker, ""), "permissions: {", *_indented(_permissions(allowed)), "}"]
    return [["{  # for `ikto mesh`", *_indented(lines), "}"]]


def _refuse_ambiguous(mesh: MeshAccess) -> None:
    """Raise ConfigError if two users would share an account or a password."""
    refuse_ambiguous([*mesh.nodes, *([NodeAccess(name=mesh.asker)] if mesh.asker else [])])


def _node_user(node: NodeAccess, mesh: MeshAccess, subjects: Subjects) -> list[str]:
    allowed = node_permissions(node, subjects, leases=mesh.leases, answers=mesh.answers)
    lines = [_login(node.name, node.nkey), "permissions: {", *_indented(_permissions(allowed)), "}"]
    return ["{" + (ANY_SUBNET_NOTE if node.key.endswith(">") else ""), *_indented(lines), "}"]


def _permissions(allowed: Permissions) -> list[str]:
    publish = _list("publish", [[_quoted(subject)] for subject in allowed.publish])
    return [*publish, *_list("subscribe", [[_quoted(subject)] for subject in allowed.subscribe])]


def _login(name: str, nkey: str) -> str:
    if nkey:
        return f"nkey: {nkey}"
    return f"user: {_quoted(name)}, password: {password_variable(name)}"


def password_variable(name: str) -> str:
    """Return the reference to the environment variable of nats-server that has a node's password."""
    return f"$IKTO_PASSWORD_{variable_word(name)}"


# -- text --------------------------------------------------------------------------------------------------------------


def _list(name: str, items: Iterable[Sequence[str]]) -> list[str]:
    return [f"{name}: [", *_indented(line for item in items for line in item), "]"]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _text(*lines: str) -> str:
    return "\n".join(lines) + "\n"
