"""Builds the `[Peer]` sections that `wg addconf` reads. Pure.

The public key comes last in a section: `wg` rejects its whole input if a section has none. So an input that is cut
short, because the agent was killed for example, is either rejected or contains complete peers only.
"""

from binascii import b2a_base64
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from ikto_core.device.model import PeerPatch
from ikto_core.errors import BackendError
from ikto_core.values.addressing import Endpoint, normalise_host
from ikto_core.values.keys import PublicKey


def peer_section(patch: PeerPatch) -> str:
    """Return the `[Peer]` section of a peer, as `wg` reads it. It writes what the patch names.

    There is a fast path for one allowed IP, an IPv4 endpoint and no preshared key.
    A section without allowed IPs removes those that the peer has. Raises BackendError if the host of the endpoint is
    not an IP address.
    """
    allowed_ips, endpoint, keepalive_s = patch.allowed_ips, patch.endpoint, patch.persistent_keepalive
    if allowed_ips is None or len(allowed_ips) != 1 or endpoint is None or keepalive_s is None or patch.preshared_key:
        return general_section(patch)
    host, port = endpoint
    try:
        inet_pton(AF_INET, host)
    except (OSError, ValueError):
        return general_section(patch)
    ((address, length),) = allowed_ips
    return (
        f"[Peer]\nAllowedIPs = {inet_ntop(AF_INET if len(address) == 4 else AF_INET6, address)}/{length}\n"
        f"Endpoint = {host}:{port}\nPersistentKeepalive = {keepalive_s}\n"
        f"PublicKey = {b2a_base64(patch.public_key).decode()}"
    )


def general_section(patch: PeerPatch) -> str:
    """Return the section of any peer: the same text as `peer_section`, without the fast path."""
    text = "[Peer]\n"
    if patch.preshared_key is not None:
        text += f"PresharedKey = {patch.preshared_key.text}\n"
    if patch.allowed_ips:
        text += f"AllowedIPs = {', '.join(map(str, sorted(patch.allowed_ips)))}\n"
    if patch.endpoint is not None:
        text += f"Endpoint = {endpoint_text(patch.public_key, patch.endpoint)}\n"
    if patch.persistent_keepalive is not None:
        text += f"PersistentKeepalive = {patch.persistent_keepalive}\n"
    return f"{text}PublicKey = {patch.public_key.text}\n"


def endpoint_text(public_key: PublicKey, endpoint: Endpoint) -> str:
    """Return an endpoint in the syntax of `wg`; BackendError if its host is a name, which `wg` would look up in DNS."""
    try:
        return str(Endpoint(normalise_host(endpoint.host), endpoint.port))
    except ValueError as error:
        raise BackendError(f"invalid endpoint of the peer {public_key}: {error}") from None
