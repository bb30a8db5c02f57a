"""An endpoint at this host, at many hosts or inside the mesh is never written, whichever record names it."""

from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.device.endpoint_filter import refusal, usable_endpoints
from ikto_core.device.endpoint_tracker import EndpointTracker
from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.device.reconciler import Reconciler
from ikto_core.testing.devices import public_key_of
from ikto_core.values.addressing import Endpoint, Prefix, normalise_host
from tests.device.reconciling import WG, Scene, record

MESH, MESH4 = Prefix.parse("fd10::/16"), Prefix.parse("10.0.0.0/8")
REFUSED = {
    "127.0.0.1": "a loopback address",
    "127.255.255.255": "a loopback address",
    "::1": "a loopback address",
    "::ffff:127.0.0.1": "a loopback address",
    "0.0.0.0": "an unspecified address",  # noqa: S104
    "::": "an unspecified address",
    "::ffff:0.0.0.0": "an unspecified address",
    "224.0.0.1": "a multicast address",
    "239.255.255.255": "a multicast address",
    "ff02::1": "a multicast address",
    "ff02::1%eth0": "a multicast address",
    "::ffff:224.0.0.1": "a multicast address",
    "255.255.255.255": "the broadcast address",
    "::ffff:255.255.255.255": "the broadcast address",
    "fd10:1::1": "inside the mesh fd10::/16",
    "fd10::%eth0": "inside the mesh fd10::/16",
}
GOOD = Endpoint("192.0.2.9", 9)
PACKED = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)
MAPPED = st.binary(min_size=4, max_size=4).map(lambda packed: bytes(10) + b"\xff\xff" + packed)


@pytest.mark.parametrize(("host", "reason"), REFUSED.items())
def test_it_is_refused_with_its_reason(host: str, reason: str) -> None:
    assert refusal(Endpoint(host, 51820), MESH) == reason


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "10.0.0.1", "126.0.0.1", "128.0.0.1", "fe80::1%eth0", "169.254.1.1", "fd11::1", "2001:db8::1"]
)
def test_any_other_address_may_be_written(host: str) -> None:
    assert refusal(Endpoint(host, 51820), MESH) is None


@pytest.mark.parametrize("host", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_a_mesh_may_be_ipv4(host: str) -> None:
    assert refusal(Endpoint(host, 1), MESH4) == "inside the mesh 10.0.0.0/8"


@given(PACKED | MAPPED, st.sampled_from([MESH, MESH4, None]))
def test_what_may_be_written_is_one_host_elsewhere_outside_the_mesh(packed: bytes, mesh: Prefix | None) -> None:
    """As Python's own `ipaddress` sees it."""
    address = ip_address(packed)
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    forbidden = (
        address.is_loopback
        or address.is_unspecified
        or address.is_multicast
        or address in ip_network("0.0.0.0/8")
        or address == ip_address("255.255.255.255")
        or (mesh is not None and address in ip_network(str(mesh)))
    )
    assert (refusal(Endpoint(normalise_host(str(ip_address(packed))), 1), mesh) is not None) == forbidden


@given(st.lists(st.sampled_from([*REFUSED, "192.0.2.1", "2001:db8::1"])))
def test_the_order_of_the_others_stays(hosts: list[str]) -> None:
    endpoints = [Endpoint(host, port) for port, host in enumerate(hosts, 1)]
    usable = usable_endpoints(tuple(endpoints), MESH)
    assert usable == tuple(endpoint for endpoint in endpoints if endpoint.host not in REFUSED)


# -- on a device -------------------------------------------------------------------------------------------------------


def scene(*without_route: Endpoint) -> Scene:
    """Return a scene on a host that has no route to some endpoints."""
    made = Scene()
    tracker = EndpointTracker(has_route=lambda endpoint: endpoint not in without_route, mesh=MESH)
    made.reconciler = Reconciler(made.backend, WG, endpoints=tracker)
    made.set_target()
    return made


@pytest.mark.parametrize("host", [host for host in REFUSED if "%" not in host])
async def test_no_record_has_a_refused_endpoint_written(host: str) -> None:
    bad = Endpoint(host, 51820)
    made = scene()
    made.put(record(2, endpoints=[str(bad)]), record(3, endpoints=[str(bad), str(GOOD)]))
    await made.reconcile()
    made.put(replace(record(4), advertise_address=host))  # a quick pass
    await made.reconcile()
    assert [made.peer(number).endpoint for number in (2, 3, 4)] == [None, GOOD, None]
    await made.reconcile_fully()
    assert made.drift == 0
    made.put(record(2, endpoints=[str(GOOD)]))
    await made.reconcile()
    assert made.peer(2).endpoint == GOOD


async def test_the_endpoint_of_a_next_key_is_checked_too() -> None:
    bad, made = Endpoint("fd10:9::1", 51820), scene()
    announcing = replace(record(2, endpoints=[str(bad)]), next_public_key=public_key_of(200))
    made.put(announcing)
    await made.reconcile()
    made.tamper(DevicePatch(peers=(PeerPatch(public_key=public_key_of(2), endpoint=bad),)))
    await made.reconcile_fully()
    assert made.device.peers[public_key_of(200)].endpoint is None
    made.put(replace(announcing, endpoints=(bad, GOOD)))
    await made.reconcile()
    assert made.device.peers[public_key_of(200)].endpoint == GOOD


async def test_a_record_that_names_a_refused_endpoint_costs_no_further_reads() -> None:
    """Its candidates are compared without the refused ones."""
    made = scene()
    made.put(record(2, endpoints=["[::1]:1", str(GOOD)]))
    await made.reconcile()
    made.reset_counts()
    made.put(record(2, endpoints=["[fd10::1]:1", str(GOOD)]))
    await made.reconcile()
    assert made.host.calls.total() == 0


async def test_the_reason_of_a_missing_endpoint_is_known_until_there_is_one() -> None:
    far = Endpoint("2001:db8::1", 51820)
    made = scene(far)
    made.put(record(2, endpoints=["127.0.0.1:1", str(far)]), record(3))
    await made.reconcile()
    reason = "127.0.0.1:1: a loopback address; [2001:db8::1]:51820: this host has no route to it"
    assert made.reconciler.without_endpoint == {public_key_of(2): reason}
    made.host.roam(WG, public_key_of(2), GOOD)
    await made.reconcile_fully()
    assert made.reconciler.without_endpoint == {}


async def test_a_removed_peer_misses_no_endpoint() -> None:
    made = scene()
    made.put(record(2, endpoints=["127.0.0.1:1"]), record(3))
    await made.reconcile()
    made.delete(2)
    await made.reconcile()
    assert made.reconciler.without_endpoint == {}
