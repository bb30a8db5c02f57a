"""The links on this host: device, endpoint and underlay. Pure."""

from ikto_core.admin.why_views import Cause, Link, Mark
from ikto_core.diagnosis.facts import CandidateFacts, DeviceFacts, Facts, Knock, RecordStatus

NOT_A_PEER = "not checked: no such peer is known"


def device_link(facts: Facts) -> Link:
    """Return whether the device shows the peer as it should."""
    device = facts.device
    shown = _shown(device)
    if fault := _device_fault(facts):
        cause, text, remedy = fault
        return Link(name="device", mark=Mark.FAULT, text=text, details=(shown,), cause=cause, fault=text, remedy=remedy)
    if device.exists is None:
        return Link(name="device", mark=Mark.UNKNOWN, text="not read")
    if not facts.is_peer:
        return Link(name="device", mark=Mark.OK, text=shown)
    if device.peer is None:
        return Link(name="device", mark=Mark.UNKNOWN, text=f"{shown}; the peer is not on it any more")
    return Link(name="device", mark=Mark.OK, text=f"{shown}; it has the peer with all its allowed IPs")


def _device_fault(facts: Facts) -> tuple[Cause, str, str] | None:
    device = facts.device
    if device.failure:
        return Cause.BACKEND_FAILING, f"the backend fails: {device.failure}", device.hint or "see the agent's log"
    if device.exists is False:
        remedy = (
            "the agent makes it again within a minute, or logs why it can't"
            if facts.agent.running
            else "start the agent"
        )
        return Cause.NO_DEVICE, f"{device.ifname} does not exist", remedy
    if device.exists and not device.up:
        return Cause.DEVICE_DOWN, f"{device.ifname} is down", f"`ip link set {device.ifname} up`"
    return _peer_fault(facts) if facts.is_peer and device.exists else None


def _peer_fault(facts: Facts) -> tuple[Cause, str, str] | None:
    ifname, peer = facts.device.ifname, facts.device.peer
    if peer is None:
        if facts.record.status is RecordStatus.DELETED:
            return None
        return Cause.NOT_ON_DEVICE, f"{ifname} does not have the peer", "see the agent's log for failed syncs"
    if peer.missing_ips:
        lacks = f"{ifname} does not route {', '.join(peer.missing_ips)} to the peer"
        return Cause.WRONG_ALLOWED_IPS, lacks, "another program changes the device: stop it"
    return None


def _shown(device: DeviceFacts) -> str:
    if not device.exists:
        return device.ifname
    parts = [device.ifname, "up" if device.up else "down"]
    parts += [f"MTU {device.mtu}"] if device.mtu else []
    parts += [f"at revision {device.synced_revision}"] if device.synced_revision is not None else []
    return ", ".join(parts)


def endpoint_link(facts: Facts) -> Link:
    """Return which endpoint is in use, which come next, and whether this host has a route to it."""
    if not facts.is_peer:
        return Link(name="endpoint", mark=Mark.UNKNOWN, text=NOT_A_PEER)
    used = facts.in_use
    details = tuple(_described(one) for one in facts.candidates)
    if used is None:
        if not facts.candidates:
            return Link(name="endpoint", mark=Mark.UNKNOWN, text="no endpoint is known")
        why = "; ".join(f"{one.endpoint}: {one.refusal}" for one in facts.candidates)
        return Link(
            name="endpoint",
            mark=Mark.FAULT,
            text="none is usable",
            details=details,
            cause=Cause.NO_ENDPOINT,
            fault=f"none of its endpoints is usable ({why})",
            remedy="correct `endpoints` or `advertise_address` on that node",
        )
    if used.source is None and not used.unchecked:
        fault = f"this host has no {used.family} route to {used.endpoint}"
        remedy = f"give this host {used.family}, or that node an endpoint of a family that both have"
        return Link(
            name="endpoint",
            mark=Mark.FAULT,
            text=fault,
            details=details,
            cause=Cause.NO_ROUTE,
            fault=fault,
            remedy=remedy,
        )
    following = [one.endpoint for one in facts.candidates if one != used and not one.refusal]
    turn = f"next in turn: {', '.join(following)}" if following else "no other to try"
    text = f"{used.endpoint}, {'in use' if used.in_use else 'not on the device yet'}; {turn}"
    return Link(name="endpoint", mark=Mark.UNKNOWN if used.source is None else Mark.OK, text=text, details=details)


def _described(one: CandidateFacts) -> str:
    if one.refusal:
        return f"{one.endpoint}: never used, {one.refusal}"
    if one.source is None:
        return f"{one.endpoint}: {one.unchecked or f'no {one.family} route'}"
    ping = one.echo
    answers = ""
    if ping:
        answers = f", ping {ping.failure or ('no answer' if ping.rtt_s is None else f'{ping.rtt_s * 1000:.1f} ms')}"
    knocked = {Knock.REFUSED: ", port closed", Knock.UNREACHABLE: ", host unreachable"}.get(one.knock, "")
    return f"{one.endpoint}: {one.family} from {one.source}, MTU {one.mtu}{answers}{knocked}"


def underlay_link(facts: Facts) -> Link:
    """Return whether the host at the endpoint is there, beside the tunnel."""
    used = facts.in_use
    if not facts.is_peer or used is None or used.source is None:
        return Link(name="underlay", mark=Mark.UNKNOWN, text="not checked: there is no endpoint with a route")
    if facts.heard_now:
        return Link(name="underlay", mark=Mark.OK, text="packets of the peer arrive")
    if fault := _underlay_fault(used, facts):
        cause, text, remedy = fault
        return Link(name="underlay", mark=Mark.FAULT, text=text, cause=cause, fault=text, remedy=remedy)
    if facts.heard:
        return Link(name="underlay", mark=Mark.OK, text="packets of the peer arrive")
    if used.echo and used.echo.rtt_s is not None:
        return Link(name="underlay", mark=Mark.OK, text="the host answers ping, and does not refuse the port")
    why = used.unchecked or (used.echo.failure if used.echo else "") or "nothing was sent"
    return Link(name="underlay", mark=Mark.UNKNOWN, text=f"not known whether the host is there: {why}")


def _underlay_fault(used: CandidateFacts, facts: Facts) -> tuple[Cause, str, str] | None:
    if used.knock is Knock.REFUSED:
        fault = f"nothing listens on {used.endpoint}, the host refuses the port"
        return Cause.PORT_CLOSED, fault, "start the agent there, or correct wg_port or the endpoint's port"
    if used.knock is Knock.UNREACHABLE:
        fault = f"the host of {used.endpoint} is unreachable"
        return Cause.HOST_UNREACHABLE, fault, "start that host, or correct its endpoint"
    unanswered = used.echo is not None and used.echo.rtt_s is None and not used.echo.failure
    if unanswered and used.knock is Knock.SILENT and not facts.heard:
        fault = f"nothing answers at {used.endpoint}, neither WireGuard nor ping"
        return Cause.DEAD_ENDPOINT, fault, "start that host, correct its endpoint, or let its firewall pass the port"
    return None
