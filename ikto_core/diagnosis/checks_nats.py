"""Checks of NATS: each server, JetStream, the credentials, the clock."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from random import SystemRandom

import msgspec

from ikto_core.claim.node_user import WARN_BEFORE_S
from ikto_core.diagnosis.checks import Category, Check, error, ok, skipped, warning
from ikto_core.diagnosis.subject import Subject
from ikto_core.errors import BucketMissingError, IktoError, NatsDeniedError, NatsError
from ikto_core.plugins.check_contract import Finding
from ikto_core.store.bucket import Bucket
from ikto_core.store.connection import open_session
from ikto_core.store.login_files import LoginFileError, read_creds

SERVER_LIMIT_S = 5.0
CLOCK_OFF_S, CLOCK_WRONG_S = 5.0, 3600.0

RENEW_FIX = "replace nats_creds by a renewed file; the agent uses it within a minute"
CLOCK_FIX = "synchronise the clock: timedatectl set-ntp true"
OLD_SERVER = "is older than 2.11: agents read the bucket one message at a time"


async def _servers(subject: Subject) -> Iterable[Finding]:
    answers = [await _dialled(subject, server) for server in subject.nats.servers]
    return server_findings(answers)


async def _dialled(subject: Subject, server: str) -> Finding | IktoError:
    """Dial one server; return what was found, or why it can't be used."""
    try:
        only = msgspec.structs.replace(subject.nats, servers=(server,))
        async with asyncio.timeout(SERVER_LIMIT_S), open_session(only, SystemRandom()) as session:
            if not session.supports_batch_get:
                return warning(f"{session.server} {OLD_SERVER}", "upgrade nats-server")
            return ok(f"{session.server} accepts the login")
    except IktoError as raised:
        return raised
    except TimeoutError:
        where = server.rpartition("@")[2]
        return NatsError(f"{where} does not answer within {SERVER_LIMIT_S:g} s", hint="check nats_url and firewalls")


def server_findings(answers: Sequence[Finding | IktoError]) -> list[Finding]:
    """Return a finding for each server: if one of them can be used, the others are only worth a look."""
    judge = warning if any(isinstance(answer, Finding) for answer in answers) else error
    return [answer if isinstance(answer, Finding) else judge(str(answer), answer.hint) for answer in answers]


async def _jetstream(subject: Subject) -> Iterable[Finding]:
    bucket = await reached(subject)
    if isinstance(bucket, Finding):
        return [bucket]
    try:
        await bucket.stream_info()
    except BucketMissingError:
        return []
    except NatsDeniedError as raised:  # the check `permissions` names all that are missing
        return [skipped(f"{raised}")]
    return []


async def reached(subject: Subject) -> Bucket | Finding:
    """Return the bucket, which may be missing, or the finding that NATS can't be used; `servers` says why."""
    try:
        return await subject.bucket()
    except (NatsError, LoginFileError):
        return skipped("NATS can't be used")


async def _credentials(subject: Subject) -> Iterable[Finding]:
    if not subject.config.nats_creds:
        return [skipped("the node logs in without a creds file")]
    return [expiry_finding(read_creds(subject.config.nats_creds).expires_s, time.time())]


def expiry_finding(expires_s: float, now: float) -> Finding:
    """Return whether credentials expire soon; both are seconds since the epoch, and 0 means never."""
    if not expires_s:
        return ok("the credentials do not expire")
    when = f"{datetime.fromtimestamp(expires_s, UTC):%F %T} UTC"
    if expires_s <= now:
        return error(f"the credentials expired at {when}", RENEW_FIX)
    if expires_s < now + WARN_BEFORE_S:
        return warning(f"the credentials expire at {when}", RENEW_FIX)
    return ok(f"the credentials expire at {when}")


async def _clock(subject: Subject) -> Iterable[Finding]:
    bucket, before = await reached(subject), time.time()
    if isinstance(bucket, Finding):
        return [bucket]
    try:
        text = str((await bucket.call("STREAM.INFO", {})).get("ts", ""))
    except NatsError as raised:
        return [skipped(f"the server can't be asked what time it is: {raised}")]
    try:
        there = datetime.fromisoformat(text[:19] + "+00:00").timestamp()
    except ValueError:
        return [skipped("the server does not say what time it is")]
    return [clock_finding((before + time.time()) / 2 - there)]


def clock_finding(offset_s: float) -> Finding:
    """Return what an offset of this host's clock from the server's means; positive: this host is ahead."""
    if abs(offset_s) < CLOCK_OFF_S:
        return ok("the clock agrees with the NATS server's")
    which = f"{abs(offset_s):.0f} s {'ahead of' if offset_s > 0 else 'behind'} the NATS server's"
    text = f"the clock is {which}: JWTs and certificates may count as expired"
    if abs(offset_s) < CLOCK_WRONG_S:
        return warning(text, CLOCK_FIX)
    return error(f"{text}, and WireGuard refuses handshakes if it is set back", CLOCK_FIX)


NATS_CHECKS = tuple(
    Check(category=Category.NATS, name=name, summary=summary, run=run)
    for name, summary, run in (
        ("servers", "each server accepts the login", _servers),
        ("jetstream", "JetStream answers", _jetstream),
        ("credentials", "the credentials are valid for more than a week", _credentials),
        ("clock", "the clock agrees with the NATS server's", _clock),
    )
)
