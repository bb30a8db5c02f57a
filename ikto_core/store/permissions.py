"""What a node may do at NATS, and nothing more: the subjects on which it publishes and to which it subscribes. Pure."""

import re
from collections.abc import Sequence

import msgspec

from ikto_core.errors import ConfigError
from ikto_core.mesh.records import PEER_KEYS
from ikto_core.store.inbox import inbox_of_node
from ikto_core.store.subjects import RENEWALS_SUFFIX, Subjects

READS = ("STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET")
"""The requests to the JetStream API by which a node reads the bucket."""

RENEWAL_READS = ("STREAM.MSG.GET",)
ADMIN = "ikto-admin"
"""The user of the operator who creates the bucket."""

ANY_SUBNET = f"{PEER_KEYS}>"
"""The keys of all records: a node whose private address is "auto" may claim any subnet."""


class NodeAccess(msgspec.Struct, frozen=True, kw_only=True):
    """A node as the NATS server must know it."""

    name: str  # of the node, as in its configuration
    key: str = ANY_SUBNET  # the KV key of its record
    nkey: str = ""  # the public key of its NATS user; empty: it logs in with its name and a password

    @property
    def word(self) -> str:
        """The name as a word in an account's name."""
        return account_word(self.name)


class Permissions(msgspec.Struct, frozen=True):
    """The subjects that a NATS user may use."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def account_word(name: str) -> str:
    """Return a node's name with `_` for every character other than ASCII letters, digits, `_` and `-`."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def variable_word(name: str) -> str:
    """Return a node's name as a part of an environment variable's name."""
    return account_word(name).replace("-", "_").upper()


def writes(node: NodeAccess, bucket: str, *, leases: bool) -> tuple[tuple[str, str], ...]:
    """Return the bucket and the key of each write that a node makes."""
    found = ((bucket, node.key), (f"{bucket}{RENEWALS_SUFFIX}", node.key))
    return found if leases else found[:1]


def reads(bucket: str, *, leases: bool) -> tuple[tuple[str, str], ...]:
    """Return the bucket and the API request of each read that a node makes."""
    found = tuple((bucket, verb) for verb in READS)
    return found + tuple((f"{bucket}{RENEWALS_SUFFIX}", verb) for verb in RENEWAL_READS) if leases else found


def node_permissions(node: NodeAccess, subjects: Subjects, *, leases: bool, answers: bool = True) -> Permissions:
    """Return the permissions that a node needs, and needs no more than.

    `answers`: it answers questions about its health, and asks other nodes (`ikto mesh`) if they are in its account.
    """
    bucket, prefix = subjects.bucket, subjects.api_prefix
    written = [Subjects(each, prefix).write(key) for each, key in writes(node, bucket, leases=leases)]
    requests = [Subjects(each, prefix).request(verb) for each, verb in reads(bucket, leases=leases)]
    followed = (f"{inbox_of_node(node.name)}.>", subjects.pushes)
    if not answers:
        return Permissions((*written, *requests), followed)
    written.append(subjects.answer(node.key))
    if subjects.in_other_account:
        return Permissions((*written, *requests), (*followed, subjects.asked))
    return Permissions((*written, *requests, subjects.asked), (*followed, subjects.asked, subjects.answered))


def asker_permissions(name: str, subjects: Subjects) -> Permissions:
    """Return the permissions of a program that only asks the nodes, as `ikto mesh` on a host without an agent."""
    requests = (subjects.request(verb) for verb in READS)
    return Permissions((*requests, subjects.asked), (f"{inbox_of_node(name)}.>", subjects.answered))


def refuse_ambiguous(nodes: Sequence[NodeAccess]) -> None:
    """Raise ConfigError if two nodes would share an account or a password."""
    seen = {variable_word(ADMIN): ADMIN}
    for node in nodes:
        if (other := seen.setdefault(variable_word(node.name), node.name)) != node.name or node.name == ADMIN:
            raise ConfigError(
                f"the users {other!r} and {node.name!r} would share an account or a password",
                hint="give nodes names that differ in more than the case of letters and other characters",
            )
