"""The subjects of a bucket: what its stream stores and pushes, how clients reach it, where nodes are asked. Pure."""

import msgspec

JETSTREAM_API = "$JS.API."
"""Prefix of the JetStream API in the account and in the JetStream domain of the client itself."""

RENEWALS_SUFFIX = "-leases"
"""The bucket in which leases are renewed has the name of the mesh's bucket and this."""


class Subjects(msgspec.Struct, frozen=True):
    """The subjects of one bucket.

    Other clients of NATS use the same ones for an API prefix: `nats --js-api-prefix`, `nats --js-domain`.
    """

    bucket: str
    api_prefix: str = JETSTREAM_API  # ends with a dot

    @property
    def stream(self) -> str:
        """The name of the bucket's stream."""
        return f"KV_{self.bucket}"

    @property
    def stored_prefix(self) -> str:
        """The part before the key in the subjects that the stream stores."""
        return f"$KV.{self.bucket}."

    @property
    def stored(self) -> str:
        """All subjects that the stream stores."""
        return f"{self.stored_prefix}>"

    @property
    def pushes(self) -> str:
        """The subjects to which the stream republishes every write."""
        return f"ikto.{self.bucket}.>"

    def request(self, verb: str) -> str:
        """Return the subject of a request to the JetStream API for this bucket, such as `STREAM.INFO`."""
        return f"{self.api_prefix}{verb}.{self.stream}"

    def write(self, key: str) -> str:
        """Return the subject by which a client writes a key; with another API prefix, that prefix comes first."""
        return f"{'' if self.api_prefix == JETSTREAM_API else self.api_prefix}{self.stored_prefix}{key}"

    @property
    def asked(self) -> str:
        """The subject on which nodes are asked for their health (fleet/). The bucket does not push to it.

        Only a client in the bucket's account can ask: nats-server passes nothing on from a service import to a stream.
        """
        return f"ikto-ask.{self.bucket}"

    @property
    def answered(self) -> str:
        """All subjects on which nodes answer."""
        return f"ikto-answer.{self.bucket}.*"

    def answer(self, key: str) -> str:
        """Return the subject by which the node with the record under a KV key answers.

        A permission for one of them lets a node answer as the owner of this record only. `peers.>`: any record.
        """
        record = key.rpartition(".")[2]
        prefix = self.api_prefix if self.in_other_account else ""
        return f"{prefix}{self.answered.removesuffix('*')}{'*' if record == '>' else record}"

    @property
    def in_other_account(self) -> bool:
        """Whether the client imports the API from the bucket's account. A JetStream domain is in the client's own."""
        return not self.api_prefix.startswith("$JS.")


def api_prefix(domain: str, prefix: str) -> str:
    """Return the prefix of the JetStream API in a domain, or under another prefix; both empty: the usual one."""
    if prefix:
        return f"{prefix}."
    return f"$JS.{domain}.API." if domain else JETSTREAM_API


def no_responder_hint(prefix: str, server_domain: str) -> str:
    """Return what to do if nobody listens on the JetStream API with this prefix.

    `server_domain`: the JetStream domain of the connected server; empty: it has none.
    """
    if prefix == JETSTREAM_API:
        return (
            "check that JetStream is enabled and the bucket exists;"
            " a bucket in another JetStream domain needs nats_domain, one in another account nats_api_prefix"
        )
    if prefix.startswith("$JS.") and prefix.endswith(".API."):
        here = f"this server's own is {server_domain!r}" if server_domain else "this server has none of its own"
        domain = prefix.removeprefix("$JS.").removesuffix(".API.")
        return f"check nats_domain: no server of the JetStream domain {domain!r} is linked to this one, and {here}"
    return f"check nats_api_prefix: the account must import {prefix}> from the one that has the bucket"
