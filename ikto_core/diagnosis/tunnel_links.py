"""The links beyond this host: handshake, data, and what the other side says. Pure."""

from ikto_core.admin.why_views import Cause, Link, Mark
from ikto_core.device.endpoint_policy import INITIATION_BYTES
from ikto_core.diagnosis.device_links import NOT_A_PEER
from ikto_core.diagnosis.facts import EchoFacts, Facts, PeerOnDevice
from ikto_core.values.ages import age

ARRIVES_THERE = "packets pass one way: this node's arrive there, and the peer's do not arrive here"
FIREWALLS = "let the firewalls of both hosts and between them pass the UDP ports of both sides"


def handshake_link(facts: Facts) -> Link:
    """Return whether there is a session, and if not, what happens to its handshakes."""
    peer = facts.device.peer
    if not facts.is_peer or peer is None:
        return Link(name="handshake", mark=Mark.UNKNOWN, text=NOT_A_PEER if not facts.is_peer else "not on the device")
    last = age(peer.last_handshake, facts.now)
    if facts.acknowledged or facts.tunnel.renewed or facts.session_recent:
        return Link(name="handshake", mark=Mark.OK, text=f"last one {last}", details=_attempts(peer))
    if not facts.asked:
        text = f"last one {last}, and nothing was sent for another"
        return Link(name="handshake", mark=Mark.UNKNOWN, text=text, details=_attempts(peer))
    cause, fault, remedy = _no_session(facts)
    text = f"last one {last}; {fault}"
    return Link(
        name="handshake", mark=Mark.FAULT, text=text, details=_attempts(peer), cause=cause, fault=fault, remedy=remedy
    )


def _attempts(peer: PeerOnDevice) -> tuple[str, ...]:
    if peer.last_handshake is not None:
        return (f"{peer.rx_bytes} bytes received, {peer.tx_bytes} sent",)
    sent = peer.tx_bytes // INITIATION_BYTES
    return (f"attempts since it was added: {sent}, kicks: {peer.kicks}, bytes received: {peer.rx_bytes}",)


def _no_session(facts: Facts) -> tuple[Cause, str, str]:
    other = facts.other_side
    if facts.heard:
        fault = "packets pass one way: the peer's handshakes arrive here, and this node's answers do not arrive there"
        return Cause.ONE_WAY, fault, FIREWALLS
    if other.answers and other.has_peer and (other.rx_growth or (other.rx_bytes and other.last_handshake is None)):
        return Cause.ONE_WAY, ARRIVES_THERE, FIREWALLS
    if facts.device.peer and facts.device.peer.last_handshake is not None:
        fault = "the peer does not answer handshakes any more"
    else:
        fault = "the peer has never answered a handshake"
    return Cause.NO_HANDSHAKE, fault, f"check that its agent runs and shows this node as a peer, and {FIREWALLS}"


def data_link(facts: Facts) -> Link:
    """Return whether data passes the tunnel, small and large packets."""
    tunnel, peer = facts.tunnel, facts.device.peer
    if not facts.is_peer:
        return Link(name="data", mark=Mark.UNKNOWN, text=NOT_A_PEER)
    if peer and (fault := _data_fault(facts, peer)):
        cause, text, remedy = fault
        return Link(name="data", mark=Mark.FAULT, text=text, cause=cause, fault=text, remedy=remedy)
    if _answered(tunnel.small) and tunnel.small:
        large = f", {tunnel.large.size} bytes pass" if tunnel.large and _answered(tunnel.large) else ""
        return Link(name="data", mark=Mark.OK, text=f"answered in {(tunnel.small.rtt_s or 0) * 1000:.1f} ms{large}")
    if facts.acknowledged:
        text = "the peer's WireGuard acknowledges what is sent; its host does not answer ping (a firewall there)"
        return Link(name="data", mark=Mark.OK, text=text)
    if tunnel.unchecked or tunnel.small is None:
        return Link(name="data", mark=Mark.UNKNOWN, text=f"not checked: {tunnel.unchecked or 'nothing was sent'}")
    why = tunnel.small.failure or "no answer, as there is no session"
    return Link(name="data", mark=Mark.UNKNOWN, text=why)


def _data_fault(facts: Facts, peer: PeerOnDevice) -> tuple[Cause, str, str] | None:
    tunnel = facts.tunnel
    if tunnel.large and _answered(tunnel.small) and _is_lost(tunnel.large):
        fits = f", {tunnel.fits} pass" if tunnel.fits else ""
        fault = f"packets of {tunnel.large.size} bytes are lost in the tunnel{fits}: a path with a smaller MTU"
        remedy = f"set `mtu` to {tunnel.fits or 1280} on both nodes, or let ICMP pass on the way"
        return Cause.MTU_BLACK_HOLE, fault, remedy
    return None if facts.acknowledged else _unanswered_fault(facts, peer)


def _unanswered_fault(facts: Facts, peer: PeerOnDevice) -> tuple[Cause, str, str] | None:
    """Return what happens to data that was sent and not even acknowledged."""
    tunnel = facts.tunnel
    unanswered = tunnel.small is not None and _is_lost(tunnel.small)
    if peer.stalled or (unanswered and tunnel.renewed):
        fault = "the tunnel is stalled: handshakes pass and data does not"
        remedy = (
            "something on the way drops data, or a kernel fault (CVE-2026-52945): update the kernels, turn threaded "
            "NAPI off, or delete one side's device, which its agent makes anew"
        )
        return Cause.STALLED, fault, remedy
    if not unanswered or not facts.session_recent:
        return None
    if facts.other_side.rx_growth:
        return Cause.ONE_WAY, ARRIVES_THERE, FIREWALLS
    if tunnel.rx_growth:
        fault = "packets pass one way: the peer's arrive here, and this node's do not arrive there any more"
        return Cause.ONE_WAY, fault, FIREWALLS
    fault = f"data gets no answer since the last handshake, {age(peer.last_handshake, facts.now)}"
    return Cause.DATA_LOST, fault, FIREWALLS


def other_side_link(facts: Facts) -> Link:
    """Return what the peer's agent says of this node."""
    other = facts.other_side
    if not facts.is_peer:
        return Link(name="other side", mark=Mark.UNKNOWN, text=NOT_A_PEER)
    if not other.answers:
        return Link(name="other side", mark=Mark.UNKNOWN, text=f"does not answer: {other.reason}")
    if not other.has_peer:
        return Link(
            name="other side",
            mark=Mark.FAULT,
            text="its device does not have this node",
            cause=Cause.NOT_A_PEER_THERE,
            fault="the other side's device does not have this node as a peer",
            remedy="see `ikto status` there: this node's record may be quarantined, or its agent may be behind",
        )
    state = f"this node is {other.state} there, " if other.state not in ("", "never") else ""
    handshake = f"last handshake {age(other.last_handshake, facts.now)}" if other.last_handshake else "no handshake yet"
    text = f"{state}{handshake}, {other.rx_bytes} bytes received from this node"
    grown = "" if other.rx_growth is None else f", {other.rx_growth} of them just now"
    return Link(name="other side", mark=Mark.OK, text=f"{text}{grown}, {other.tx_bytes} sent")


def _answered(echo: EchoFacts | None) -> bool:
    return echo is not None and echo.rtt_s is not None


def _is_lost(echo: EchoFacts) -> bool:
    return echo.rtt_s is None and not echo.failure
