"""Why NATS refuses a request for a bucket, and what to do about it. Pure."""

import re

from ikto_core.errors import NatsError
from ikto_core.store.api import ApiError, StreamConfig

STREAM_NOT_FOUND = 10059
MESSAGE_NOT_FOUND = 10037
WRONG_LAST_SEQUENCE = frozenset({10071, 10164})
"""Another client wrote first; in a replicated stream the code is 10164 if that write is not stored yet."""

_NO_JETSTREAM = (
    "enable JetStream for this account on the server; if the bucket is in another JetStream domain, set nats_domain,"
    " if in another account, nats_api_prefix"
)
_NO_ROOM = "free or add storage on the server, or raise the limits of the account"
_LIMITS = "`ikto bucket show` names a limit of the bucket, and `ikto bucket upgrade` removes it"
_HINTS = {
    10002: _NO_ROOM,
    10023: _NO_ROOM,
    10028: _NO_ROOM,
    10039: _NO_JETSTREAM,
    10047: _NO_ROOM,
    10054: _LIMITS,
    10074: "a single server keeps one copy: use --replicas 1, or a cluster",
    10076: _NO_JETSTREAM,
    10077: _LIMITS,
    10109: "nothing can ever be written to a sealed bucket: create another one, and set nats_kv on all nodes",
}
"""By the error code of JetStream (server/errors.json of nats-server)."""


def refusal(bucket: str, error: ApiError) -> NatsError:
    """Return the error for a request that NATS refused."""
    said = f"{error.description} ({error.err_code})"
    return NatsError(f"NATS refused a request for bucket {bucket!r}: {said}", hint=_HINTS.get(error.err_code, ""))


def mirror_refusal(bucket: str, config: StreamConfig) -> NatsError | None:
    """Return why nothing can be written to a bucket that is a mirror, and where to write; None: it is not one."""
    if not config.mirror:
        return None
    origin = str(config.mirror.get("name", ""))
    external = config.mirror.get("external")
    api = str(external.get("api", "")) if isinstance(external, dict) else ""
    domain = re.fullmatch(r"\$JS\.([^.]+)\.API\.?", api)
    where = f" in the JetStream domain {domain[1]!r}" if domain else ""
    use = [f"nats_kv to {origin.removeprefix('KV_')!r}", *([f"nats_domain to {domain[1]!r}"] if domain else [])]
    return NatsError(
        f"bucket {bucket!r} is a mirror of the stream {origin}{where}: no node can write its record",
        hint=f"set {' and '.join(use)} on all nodes; a mirror is only good for reading",
    )
