"""`wg showconf`, WireGuard's own configuration format, as values to compare."""

from ikto_core.lab.network import run

Section = dict[str, str]


def showconf(ifname: str, *within: str) -> tuple[Section, dict[str, Section]]:
    """Return a device's own section and its peers' by public key; allowed IPs are in ascending order of text."""
    interface, *peers = (
        _section(text) for text in run(*within, "wg", "showconf", ifname).split("\n\n") if text.strip()
    )
    return interface, {peer.pop("PublicKey"): peer for peer in peers}


def _section(text: str) -> Section:
    section = dict(line.split(" = ", 1) for line in text.splitlines() if not line.startswith("["))
    if ips := section.get("AllowedIPs"):
        section["AllowedIPs"] = ", ".join(sorted(ips.split(", ")))
    return section
