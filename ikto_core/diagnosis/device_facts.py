"""What a device that was read says about one peer. Pure."""

from collections.abc import Iterable

from msgspec.structs import replace

from ikto_core.admin.why_views import TunnelPath
from ikto_core.device.endpoint_filter import refusal
from ikto_core.device.model import DeviceState, PeerState
from ikto_core.diagnosis.facts import CandidateFacts, DeviceFacts, Facts, PeerOnDevice
from ikto_core.errors import IktoError
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PublicKey
from ikto_core.values.times import utc


def device_facts(
    ifname: str,
    device: DeviceState | None,
    key: PublicKey | None,
    allowed_ips: Iterable[Prefix] = (),
    *,
    unread: IktoError | None = None,
) -> DeviceFacts:
    """Return the facts about a device as it was read, and one of its peers.

    Args:
        ifname: The device.
        device: As read; None: it is absent, or unreadable.
        key: The peer; None: the target is none.
        allowed_ips: Those that the peer should have.
        unread: Why the device can't be read; None: it could.

    """
    if device is None:
        failure, hint = (str(unread), unread.hint) if unread else ("", "")
        return DeviceFacts(ifname=ifname, exists=None if unread else False, failure=failure, hint=hint)
    shown = device.peers.get(key) if key else None
    return DeviceFacts(
        ifname=ifname,
        up=device.up,
        mtu=device.mtu,
        addresses=tuple(sorted(map(str, device.addresses))),
        peer=_peer(shown, allowed_ips) if shown else None,
    )


def _peer(shown: PeerState, allowed_ips: Iterable[Prefix]) -> PeerOnDevice:
    return PeerOnDevice(
        missing_ips=tuple(str(prefix) for prefix in sorted(set(allowed_ips) - shown.allowed_ips)),
        endpoint=str(shown.endpoint) if shown.endpoint else None,
        last_handshake=shown.last_handshake,
        rx_bytes=shown.rx_bytes,
        tx_bytes=shown.tx_bytes,
    )


def with_agents_view(
    facts: DeviceFacts, *, failure: str, hint: str, synced_revision: int | None, stalled: bool, kicks: int
) -> DeviceFacts:
    """Return the facts with what an agent knows of its device and the peer beside what a read shows.

    Args:
        facts: As read.
        failure: Why the device can't be brought in sync; empty: it can. Why it can't be read comes first.
        hint: What to do about it.
        synced_revision: The bucket's revision that it shows; None: unknown.
        stalled: Whether the peer's tunnel passes data one way only.
        kicks: How often its first handshake was started over.

    """
    if not facts.failure:
        facts = replace(facts, failure=failure, hint=hint)
    peer = facts.peer and replace(facts.peer, stalled=stalled, kicks=kicks)
    return replace(facts, synced_revision=synced_revision, peer=peer)


def candidates(endpoints: Iterable[Endpoint], in_use: str | None, mesh: Prefix) -> tuple[CandidateFacts, ...]:
    """Return a peer's endpoints, best first, after the one in use if that was learned by roaming."""
    known = [str(endpoint) for endpoint in endpoints]
    roamed = [in_use] if in_use and in_use not in known else []
    return tuple(
        CandidateFacts(
            endpoint=text,
            in_use=text == in_use,
            refusal=refusal(Endpoint.parse(text), mesh) or "",
            unchecked="nothing was sent",
        )
        for text in (*roamed, *known)
    )


def tunnel_path(facts: Facts, *, netns: str, fwmark: int, source: str | None) -> TunnelPath | None:
    """Return how to reach the target; None: it is no peer."""
    if not facts.is_peer:
        return None
    peer, used = facts.device.peer, facts.in_use
    return TunnelPath(
        ifname=facts.device.ifname,
        netns=netns,
        fwmark=fwmark,
        source=source,
        address=facts.record.address,
        mtu=facts.device.mtu,
        endpoint=used.endpoint if used else None,
        last_handshake=utc(peer.last_handshake) if peer else None,
        stalled=peer.stalled if peer else False,
    )
