"""The agent's admin views show the state of its parts."""

import asyncio
from datetime import timedelta
from pathlib import Path
from random import Random

import msgspec
import pytest
from msgspec.structs import replace

from ikto_core.admin.device_views import DevicePeerView
from ikto_core.admin.views import AgentState
from ikto_core.agent import device_reading
from ikto_core.device import bounded_backend, reconciler, stalled
from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.errors import BackendError
from ikto_core.mesh.records import PEER_KEYS, encode_record, record_key
from ikto_core.store.connection import Connection
from ikto_core.store.session import NatsSettings
from ikto_core.testing.devices import public_key_of
from ikto_core.values.addressing import Endpoint
from ikto_core.values.times import utc
from tests.admin.node import NODE, OWN_KEY, OWN_SUBNET, SERVER, WG, converged_node, fresh_node, peer_record


async def test_info_has_the_own_record_and_accepted_ones_sorted_by_subnet(tmp_path: Path) -> None:
    moved = replace(peer_record(2), allowed_ip="fd10:aaaa::/48", wg_port=7)
    async with converged_node(tmp_path, peer_record(0x10), moved, peer_record(2)) as node:
        node.bucket.write(f"{PEER_KEYS}garbage", b"{")
        await node.converge()
        info = msgspec.to_builtins(node.report.info())
    assert list(info) == ["self", "peers"]
    assert info["self"] == {
        "name": NODE,
        "public_key": OWN_KEY.public().text,
        "advertise_address": "192.0.2.1",
        "allowed_ip": OWN_SUBNET,
        "wg_port": 51820,
    }
    assert [peer["allowed_ip"] for peer in info["peers"]] == ["fd10:2::/48", "fd10:10::/48", "fd10:aaaa::/48"]
    assert [peer["wg_port"] for peer in info["peers"]] == [51820, 51820, 7]


async def test_info_has_a_records_endpoints_if_there_are_any(tmp_path: Path) -> None:
    endpoints = (Endpoint.parse("[2001:db8::1]:1"), Endpoint.parse("192.0.2.9:2"))
    async with converged_node(tmp_path, replace(peer_record(2), endpoints=endpoints)) as node:
        info = msgspec.to_builtins(node.report.info())
    assert info["peers"][0]["endpoints"] == ("[2001:db8::1]:1", "192.0.2.9:2")


async def test_the_agent_state_follows_the_start(tmp_path: Path) -> None:
    seen: list[tuple[str, bool]] = []
    async with fresh_node(tmp_path) as node:

        async def check() -> None:
            assert (await node.report.status()).state is node.report.state
            seen.append((node.report.state.value, node.report.ready))

        await check()
        node.connection.server = SERVER
        await check()
        await node.see()
        await check()
        await node.claim()
        await check()
        await node.converge()
        await check()
    states = ["connecting", "connecting", "claiming", "applying", "ready"]
    assert seen == [(state, state == "ready") for state in states]


async def test_a_lost_session_makes_the_agent_degraded_but_still_ready(tmp_path: Path) -> None:
    async with converged_node(tmp_path) as node:
        node.connection.server, node.connection.failure, node.connection.hint = "", "no answer", "start it"
        status = await node.report.status()
        assert (status.state, status.nats.connected, status.nats.server) == (AgentState.DEGRADED, False, None)
        assert (status.nats.failure, status.nats.hint) == ("no answer", "start it")
        assert node.report.ready


async def test_a_failed_recheck_of_the_own_record_is_in_the_status(tmp_path: Path) -> None:
    async with converged_node(tmp_path) as node:
        node.controller.recheck.failure, node.controller.recheck.hint = "NATS denied a write", "permit it"
        status = await node.report.status()
        assert (status.nats.connected, status.nats.failure) == (True, "NATS denied a write")
        assert status.nats.hint == "permit it"


async def test_a_device_that_cannot_be_written_makes_the_agent_degraded(tmp_path: Path) -> None:
    async with converged_node(tmp_path) as node:
        node.put(peer_record(2))
        node.host.fail_next("apply", BackendError("no buffer space", hint="add some"))
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(node.reconciler.run())
            await node.controller.follower.resync(node.bucket)
            while not node.reconciler.failure:
                await asyncio.sleep(0)
            status = await node.report.status()
            running.cancel()
            service = node.report.condition.service_state()
        assert (status.state, status.device_failure) == (AgentState.DEGRADED, "no buffer space")
        assert (status.device_hint, status.device_stuck) == ("add some", False)
        assert (service.status, service.progressing) == ("degraded: no buffer space (add some); 1 peer", True)
        assert not node.report.ready


async def test_a_device_that_fails_before_it_ever_showed_the_mesh_makes_the_agent_degraded(tmp_path: Path) -> None:
    async with fresh_node(tmp_path) as node:
        node.put(peer_record(2))
        await node.see()
        await node.claim()
        node.reconciler.request_full_pass()
        node.host.fail_next("read", BackendError("no permission"))
        with pytest.raises(BackendError):
            await node.reconciler.reconcile()
        assert node.report.state is AgentState.DEGRADED


async def test_the_service_manager_is_told_state_peers_and_why_nats_fails(tmp_path: Path) -> None:
    async with fresh_node(tmp_path) as node:
        assert not node.report.condition.service_state().retries, "a first start may fail"
        node.put(peer_record(2))
        await node.see()
        await node.claim()
        await node.converge()
        assert node.report.condition.service_state().status == "ready; 1 peer"
        assert node.report.condition.service_state().retries
        node.connection.server, node.connection.failure, node.connection.hint = "", "no answer", "start it"
        assert node.report.condition.service_state().status == "degraded: no answer (start it); 1 peer"


async def test_there_is_no_progress_while_a_call_is_stuck_or_without_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with converged_node(tmp_path) as node:
        monkeypatch.setattr(reconciler, "PASS_OVERDUE_S", -1.0)
        assert not node.report.condition.service_state().progressing
        monkeypatch.undo()
        monkeypatch.setattr(bounded_backend, "DEFAULT_LIMITS", bounded_backend.CallLimits(call_s=0.01))
    async with converged_node(tmp_path) as node:
        assert node.report.condition.service_state().progressing
        node.host.delay = timedelta(hours=1)
        status = await node.report.status()
        assert (status.state, status.device_stuck) == (AgentState.DEGRADED, True)
        assert status.device_failure == "backend 'fake': read of wg0 did not return within 0.01 s"
        assert status.device_hint
        peers = await node.report.peers()
        assert (peers.device_failure, peers.device_hint) == (status.device_failure, status.device_hint)
        assert not node.report.condition.service_state().progressing


async def test_stalled_peers_are_marked_in_the_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalled, "WINDOW_S", 0.0)
    async with converged_node(tmp_path, peer_record(2), peer_record(3)) as node:
        for number in range(4):
            node.host.handshake(WG, public_key_of(2), 5000.0 + 60.0 * number, rx_bytes=92, tx_bytes=9000)
            node.host.handshake(WG, public_key_of(3), 5000.0 + 60.0 * number, rx_bytes=9000, tx_bytes=9000)
            node.report.resync()
            await node.converge()
        status = await node.report.status()
        assert status.device
        assert [peer.stalled for peer in status.device.peers] == [True, False]


async def test_status_shows_identity_revisions_and_the_device_without_its_keys(tmp_path: Path) -> None:
    async with converged_node(tmp_path, peer_record(3), peer_record(2), private_address="fd10:1::9") as node:
        node.host.handshake(WG, public_key_of(2), 1_700_000_000.5, rx_bytes=10, tx_bytes=20)
        status = await node.report.status()
        text = msgspec.json.encode(status).decode()
    assert (status.name, status.public_key, status.ifname, status.backend) == (NODE, OWN_KEY.public().text, WG, "fake")
    assert (status.private_address, status.allowed_ip) == ("fd10:1::9", OWN_SUBNET)
    assert (status.nats.connected, status.nats.server, status.nats.failure) == (True, SERVER, None)
    assert (status.revision, status.bucket_revision, status.accepted) == (3, 3, 2)
    assert (status.quarantined, status.pending_removals, status.device_failure) == ((), (), None)
    assert status.device
    assert (status.device.listen_port, status.device.up, status.device.fwmark) == (51820, True, 0)
    assert status.device.addresses == ("fd10:1::9/16",)
    assert status.device.peers[0] == DevicePeerView(
        public_key=public_key_of(2).text,
        name="peer-2",
        endpoint="192.0.2.2:51820",
        allowed_ips=("fd10:2::/48",),
        last_handshake=utc(1_700_000_000.5),
        rx_bytes=10,
        tx_bytes=20,
    )
    assert status.device.peers[1].last_handshake is None
    assert OWN_KEY.text not in text


async def test_a_quarantined_record_is_shown_with_its_subnet_and_the_reason(tmp_path: Path) -> None:
    async with converged_node(tmp_path, peer_record(2), peer_record(3, allowed_ip="fd10:2:0:1::/64")) as node:
        for key in (f"{PEER_KEYS}%%", record_key("no subnet")):
            node.bucket.write(key, b"{}")
        await node.converge()
        status = await node.report.status()
    assert status.accepted == 1
    by_subnet = {quarantined.allowed_ip: quarantined for quarantined in status.quarantined}
    assert by_subnet.keys() == {"fd10:2:0:1::/64", None}
    assert by_subnet["fd10:2:0:1::/64"].reason == "fd10:2:0:1::/64 overlaps fd10:2::/48 of 'peer-2'"
    assert by_subnet["fd10:2:0:1::/64"].revision == 2
    assert len(status.quarantined) == 3


async def test_pending_removals_are_in_the_status(tmp_path: Path) -> None:
    records = [peer_record(number) for number in range(2, 12)]
    async with converged_node(tmp_path, *records) as node:
        for record in records:
            node.bucket.write(record.key, None)
        await node.converge()
        status = await node.report.status()
    assert (status.accepted, len(status.pending_removals)) == (0, 5)
    assert status.device
    assert set(status.pending_removals) == {peer.public_key for peer in status.device.peers}


async def test_pending_key_changes_are_in_the_status_until_they_are_released(tmp_path: Path) -> None:
    async with converged_node(tmp_path, *(peer_record(number) for number in range(2, 12))) as node:
        for number in range(2, 12):
            record = replace(peer_record(number), public_key=public_key_of(number + 100))
            node.bucket.write(record.key, encode_record(record))
        await node.converge()
        status = await node.report.status()
        assert (status.accepted, status.pending_removals) == (10, ())
        assert len(status.pending_key_changes) == 5
        assert set(status.pending_key_changes) == {quarantined.allowed_ip for quarantined in status.quarantined}
        assert node.report.release_removals() == 5
        await node.converge()
        status = await node.report.status()
        assert (status.accepted, status.pending_key_changes, status.quarantined) == (10, (), ())


async def test_a_device_that_cannot_be_read_is_in_the_status(tmp_path: Path) -> None:
    async with converged_node(tmp_path, peer_record(2)) as node:
        node.host.fail_next("read", BackendError("netlink: no buffer space"))
        status = await node.report.status()
        assert (status.device, status.device_failure) == (None, "netlink: no buffer space")
        assert status.state is AgentState.DEGRADED
        node.host.fail_next("read", BackendError("netlink: no buffer space"))
        peers = await node.report.peers()
        assert (peers.device_failure, [peer.on_device for peer in peers.peers]) == ("netlink: no buffer space", [None])
        assert (await node.report.status()).state is AgentState.READY


async def test_a_backend_that_hangs_is_in_the_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_reading, "READ_TIMEOUT_S", 0.01)
    async with converged_node(tmp_path) as node:
        node.host.delay = timedelta(hours=1)
        status = await node.report.status()
    assert status.device_failure == "the backend did not read wg0 within 0.01 s"
    assert status.device_hint
    assert "reboot" in status.device_hint


async def test_peers_have_the_advertised_endpoints_and_the_devices_one(tmp_path: Path) -> None:
    moved = replace(peer_record(2), allowed_ip="fd10:1111::/48", advertise_address="192.0.2.77")
    async with converged_node(tmp_path, peer_record(3), peer_record(2), moved) as node:
        node.host.roam(WG, public_key_of(2), Endpoint.parse("198.51.100.1:9"))
        node.host.handshake(WG, public_key_of(2), 5.0)
        gone = DevicePatch(remove_peers=frozenset({public_key_of(3)}))
        node.host.tamper(WG, gone)
        first, second = (await node.report.peers()).peers
    assert (first.name, first.allowed_ips) == ("peer-2", ("fd10:2::/48", "fd10:1111::/48"))
    assert first.endpoints == ("192.0.2.77:51820", "192.0.2.2:51820")
    assert (first.on_device, first.endpoint, first.last_handshake) == (True, "198.51.100.1:9", utc(5))
    assert (second.name, second.on_device, second.endpoint, second.last_handshake) == ("peer-3", False, None, None)


async def test_resync_reads_the_whole_bucket_and_the_whole_device(tmp_path: Path) -> None:
    async with converged_node(tmp_path, peer_record(2)) as node:
        stray = PeerPatch(public_key=public_key_of(9), create=True, allowed_ips=frozenset())
        node.host.tamper(WG, DevicePatch(peers=(stray,)))
        before = await node.report.status()
        node.report.resync()
        await node.converge()
        after = await node.report.status()
    assert before.device
    assert after.device
    assert len(before.device.peers) == 2
    assert [peer.public_key for peer in after.device.peers] == [public_key_of(2).text]
    assert after.counters.follower.whole_walks == before.counters.follower.whole_walks + 1


async def test_status_never_shows_the_password_of_a_url(tmp_path: Path) -> None:
    async with fresh_node(tmp_path) as node:
        settings = NatsSettings(servers=("nats://user:secret@127.0.0.1:1",))
        link = Connection(settings, Random(1), keep_trying=lambda: True)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(link.run(_never))
            while not link.failure:
                await asyncio.sleep(0.01)
            running.cancel()
        node.connection.failure = link.failure
        status = await node.report.status()
    assert status.nats.failure
    assert "127.0.0.1:1" in status.nats.failure
    assert "secret" not in status.nats.failure


async def _never(_: object) -> None:
    raise AssertionError


async def test_a_peer_without_a_usable_endpoint_is_in_the_status_until_it_is_heard_of(tmp_path: Path) -> None:
    here = replace(peer_record(2), endpoints=(Endpoint("127.0.0.1", 51820),))
    async with converged_node(tmp_path, here, peer_record(3)) as node:
        (found,) = (await node.report.status()).unreachable_endpoints
        expected = (public_key_of(2).text, "peer-2", "127.0.0.1:51820: a loopback address")
        assert (found.public_key, found.name, found.reason) == expected
        node.host.roam(WG, public_key_of(2), Endpoint("192.0.2.77", 7))
        assert (await node.report.status()).unreachable_endpoints == ()
