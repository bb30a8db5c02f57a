"""The bucket defends itself on a real nats-server: wrong settings are named, and corrected where NATS can do it."""

from random import Random
from typing import Any

import msgspec
import pytest
from nats.js.api import RePublish
from structlog.testing import capture_logs

from ikto_core.errors import ConfigError, NatsError
from ikto_core.mesh.records import MAX_RECORD_BYTES
from ikto_core.mesh.settings import MESH_KEY, MeshSettings, read_settings
from ikto_core.store.api import Republish, StreamConfig, StreamInfo, StreamState
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket, create_renewals, upgrade_bucket
from ikto_core.store.bucket_settings import Finding, findings, record_settings, renewal_settings
from ikto_core.store.follower import Follower
from ikto_core.store.pushes import listen
from ikto_core.store.session import Session
from ikto_core.store.subjects import Subjects

MESH = MeshSettings("fd10::/16", 48)
SUBJECTS = Subjects("b")
SETTINGS = record_settings(SUBJECTS)
RIGHT = StreamConfig(**{setting.name: setting.value for setting in SETTINGS})

WRONG: dict[str, Any] = {
    "subjects": ("$KV.b.>", "more"),
    "allow_rollup_hdrs": True,
    "deny_purge": False,
    "deny_delete": False,
    "subject_delete_marker_ttl": 10**9,
    "max_msgs_per_subject": 5,
    "max_msgs": 100,
    "max_bytes": 10**6,
    "max_age": 10**9,
    "max_msg_size": -1,
    "discard": "old",
    "discard_new_per_subject": True,
    "retention": "interest",
    "no_ack": True,
    "allow_direct": False,
    "allow_msg_schedules": True,
    "republish": None,
    "subject_transform": {"src": "$KV.b.>", "dest": "x.>"},
    "sources": ({"name": "other"},),
    "mirror": {"name": "other"},
    "sealed": True,
    "storage": "memory",
    "persist_mode": "async",
}


def found_in(config: StreamConfig) -> list[Finding]:
    return findings(StreamInfo(created="", config=config, state=StreamState(last_seq=0)), SETTINGS)


def test_right_settings_have_no_findings() -> None:
    assert found_in(RIGHT) == []
    assert WRONG.keys() == {setting.name for setting in SETTINGS}


@pytest.mark.parametrize("setting", WRONG)
def test_each_wrong_setting_is_named_alone_with_what_it_should_be(setting: str) -> None:
    (finding,) = found_in(msgspec.structs.replace(RIGHT, **{setting: WRONG[setting]}))
    assert (finding.setting, finding.found, finding.wanted) == (setting, WRONG[setting], getattr(RIGHT, setting))
    assert f"{finding}".startswith(f"{setting} is ")
    assert finding.otherwise
    assert finding.hint


def test_a_republish_subject_that_others_use_is_left() -> None:
    config = msgspec.structs.replace(RIGHT, republish=Republish(src="$KV.b.>", dest="theirs.>"))
    (finding,) = found_in(config)
    assert not finding.correctable


async def test_new_buckets_have_no_findings(bucket: Bucket) -> None:
    await create_renewals(bucket)
    renewals = bucket.renewals()
    assert findings(await bucket.stream_info(), record_settings(bucket.subjects)) == []
    assert findings(await renewals.stream_info(), renewal_settings(renewals.subjects)) == []


async def test_a_bucket_refuses_what_would_remove_the_records_of_others(bucket: Bucket, session: Session) -> None:
    first = await bucket.put("peers.a", b"one", expected=0)
    for rollup in ("all", "sub"):
        headers = {"Nats-Rollup": rollup}
        answer = await session.request(bucket.subjects.write("peers.b"), b"mine", headers)
        assert b"rollup not permitted" in answer.data
    for verb, payload in (("STREAM.PURGE", {}), ("STREAM.MSG.DELETE", {"seq": first})):
        with pytest.raises(NatsError, match="not permitted"):
            await bucket.call(verb, payload)
    entry = await bucket.get("peers.a")
    assert entry
    assert entry.value == b"one"


async def test_a_bucket_takes_a_record_of_the_largest_size_and_no_larger_message(bucket: Bucket) -> None:
    await bucket.put("peers.a", b"x" * MAX_RECORD_BYTES, expected=0)
    with pytest.raises(NatsError, match="message size exceeds maximum allowed"):
        await bucket.put("peers.b", b"x" * (MAX_RECORD_BYTES + 1024), expected=0)


async def test_upgrade_corrects_whatever_nats_can_change_and_keeps_the_records(session: Session) -> None:
    js = session.client.jetstream()
    kv = await js.create_key_value(bucket="wrong", history=5, ttl=7200, max_bytes=10**6, max_value_size=100)
    for value in (b"one", b"two"):
        await kv.put("peers.a", value)
    bucket = Bucket(session, "wrong")
    wrong = {"max_msgs": 9, "discard": "old", "no_ack": True, "subject_transform": {"src": "x", "dest": "y"}}
    config = (await bucket.call("STREAM.INFO", {}))["config"]
    await bucket.call("STREAM.UPDATE", config | wrong | {"subjects": ["$KV.wrong.>", "x"]})
    done = await upgrade_bucket(bucket, record_settings(bucket.subjects))
    assert (done.left, done.refusal) == ((), "")
    assert {finding.setting for finding in done.corrected} >= {"max_age", "max_bytes", "max_msgs_per_subject", *wrong}
    entry = await bucket.get("peers.a")
    assert entry
    assert entry.value == b"two"
    assert await upgrade_bucket(bucket, record_settings(bucket.subjects)) == ((), (), "")


async def test_upgrade_corrects_the_rest_when_nats_refuses_one_change(session: Session) -> None:
    """A stream with scheduled messages can't be changed to refuse new records at a limit."""
    bucket = Bucket(session, "scheduled")
    wrong = {"name": bucket.stream, "subjects": [bucket.write_subject], "storage": "memory", "max_age": 200 * 10**9}
    await bucket.call("STREAM.CREATE", wrong | {"discard": "old", "allow_msg_schedules": True})
    done = await upgrade_bucket(bucket, record_settings(bucket.subjects))
    assert {finding.setting for finding in done.left} >= {"discard", "allow_msg_schedules", "storage"}
    assert {finding.setting for finding in done.corrected} >= {"max_age", "max_msg_size", "deny_delete", "republish"}
    assert done.refusal


async def test_upgrade_allows_that_a_record_is_written_a_second_time(bucket: Bucket) -> None:
    revision = await bucket.put("peers.a", b"one", expected=0)
    config = (await bucket.call("STREAM.INFO", {}))["config"]
    await bucket.call("STREAM.UPDATE", config | {"discard_new_per_subject": True})
    with pytest.raises(NatsError, match="maximum messages per subject exceeded") as raised:
        await bucket.put("peers.a", b"two", expected=revision)
    assert "`ikto bucket upgrade`" in raised.value.hint
    done = await upgrade_bucket(bucket, record_settings(bucket.subjects))
    assert [finding.setting for finding in done.corrected] == ["discard_new_per_subject"]
    assert await bucket.put("peers.a", b"two", expected=revision) > revision


async def test_a_session_logs_once_what_is_wrong_with_the_bucket(session: Session, bucket: Bucket) -> None:
    js = session.client.jetstream()
    republish = RePublish("$KV.logged.>", "ikto.logged.>")
    await js.create_key_value(bucket="logged", ttl=7200, direct=True, republish=republish)
    with capture_logs() as logs:
        await listen(session, Bucket(session, "logged"), Follower(lambda _: None, Random()))
        await listen(session, bucket, Follower(lambda _: None, Random()))
    (warning,) = [log for log in logs if log["event"] == "bucket settings differ"]
    assert warning["bucket"] == "logged"
    assert warning["hint"] == "run: ikto bucket upgrade"
    for text in ("max_age is 7200000000000, not 0", "allow_rollup_hdrs is true, not false", "deny_purge is false"):
        assert text in warning["settings"]
    assert "republish" not in warning["settings"]


@pytest.mark.parametrize("present", [MeshSettings("fd20::/16", 48).encode(), b"{broken"])
async def test_mesh_settings_are_overwritten_only_when_told(bucket: Bucket, present: bytes) -> None:
    entry = await bucket.get(MESH_KEY)
    assert entry
    await bucket.put(MESH_KEY, present, expected=entry.revision)
    with pytest.raises(ConfigError, match="belongs to another mesh") as raised:
        await create_bucket(bucket, MESH, replicas=1, memory=False)
    assert "--overwrite-mesh" in raised.value.hint
    found = await bucket.get(MESH_KEY)
    assert found
    assert found.value == present
    await create_bucket(bucket, MESH, replicas=1, memory=False, overwrite_mesh=True)
    assert read_settings(await bucket.get(MESH_KEY)) == MESH
