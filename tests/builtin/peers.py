"""Peers as events report them."""

from ikto_core.observers.contract import PeerFacts


def facts(number: int, name: str, *, addresses: tuple[str, ...] | None = None) -> PeerFacts:
    """Return a peer whose key, subnet and endpoint derive from its number."""
    return PeerFacts(
        public_key=f"key {number}",
        name=name,
        subnets=(f"fd10:0:{number:x}::/48",),
        addresses=addresses or (f"fd10:0:{number:x}::1",),
        endpoints=(f"192.0.2.{number}:51820",),
        revision=number,
    )
