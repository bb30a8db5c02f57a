"""The accounts that `ikto nats accounts` prints, as JWTs: what the commands of nsc in docs/nats-users.md make."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ikto_core.store.permissions import NodeAccess, node_permissions, reads, writes
from ikto_core.store.subjects import JETSTREAM_API, Subjects
from tests.printed import LAYOUTS
from tests.store.credentials import ACCOUNT, ACCOUNT_LIMITS, STORAGE, UNLIMITED, USER, Nkey, Operator, creds_file

BUCKET = "b"
PREFIX = LAYOUTS["an account for each node"].nats_api_prefix
"""Under which the nodes use the JetStream API of the bucket."""


class JwtAccounts(NamedTuple):
    """A configuration of nats-server, and the contents of creds files."""

    config: str
    admin: str
    nodes: dict[str, str]  # by name


def jwt_accounts(nodes: tuple[NodeAccess, ...], *, together: bool = False) -> JwtAccounts:
    """Return an account for the bucket and its leases, and one for each node, or one for all nodes `together`."""
    operator, store = Operator(), Nkey(ACCOUNT)
    exports: dict[str, dict[str, Any]] = {}
    accounts, creds = {}, {}
    shared = Nkey(ACCOUNT)
    for node in nodes:
        account = shared if together else Nkey(ACCOUNT)
        needed = list(_exports_for(node))
        exports |= {export["subject"]: export for export in needed}
        imported = exports.values() if together else needed
        claims = {"imports": [_activated(export, store, account) for export in imported]}
        accounts[account.public] = operator.key.jwt(account, {"type": "account", "limits": ACCOUNT_LIMITS} | claims)
        allowed = node_permissions(node, Subjects(BUCKET, f"{PREFIX}."), leases=True)
        creds[node.name] = _creds(
            account, {"pub": {"allow": list(allowed.publish)}, "sub": {"allow": list(allowed.subscribe)}}
        )
    stores = {"type": "account", "limits": ACCOUNT_LIMITS | STORAGE, "exports": list(exports.values())}
    accounts[store.public] = operator.key.jwt(store, stores)
    preload = "".join(f"{key}: {jwt}\n" for key, jwt in accounts.items())
    config = operator.config.replace("resolver_preload: {", f"resolver_preload: {{ {preload}")
    return JwtAccounts(config, _creds(store, {}), creds)


def _creds(account: Nkey, permissions: Mapping[str, Any]) -> str:
    user = Nkey(USER)
    return creds_file(account.jwt(user, {"type": "user"} | UNLIMITED | dict(permissions)), user.seed)


def _exports_for(node: NodeAccess) -> Iterator[dict[str, Any]]:
    """Yield the exports that a node imports, as in the JWT of the bucket's account."""
    for bucket, verb in reads(BUCKET, leases=True):
        kind = {"response_type": "Stream"} if verb == "DIRECT.GET" else {}
        yield _export(Subjects(bucket).request(verb), "service") | kind
    for bucket, key in writes(node, BUCKET, leases=True):
        yield _export(Subjects(bucket).write(key), "service")
    subjects = Subjects(BUCKET)
    yield _export(subjects.answer(node.key), "service")
    for subject in (subjects.pushes, subjects.asked):
        yield _export(subject, "stream")


def _export(subject: str, kind: str) -> dict[str, Any]:
    return {"name": subject, "subject": subject, "type": kind, "token_req": True}


def _activated(export: Mapping[str, Any], store: Nkey, account: Nkey) -> dict[str, Any]:
    """Return an import of an export, with the activation that the bucket's account issues for it."""
    subject, kind = export["subject"], export["type"]
    token = store.jwt(account, {"type": "activation", "subject": subject, "kind": kind})
    local = {"local_subject": f"{PREFIX}.{subject.removeprefix(JETSTREAM_API)}"} if kind == "service" else {}
    return {"name": subject, "subject": subject, "account": store.public, "token": token, "type": kind} | local
