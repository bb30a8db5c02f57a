"""Peers as `wg addconf` reads them. Pure.

A section ends with its key, without which `wg` takes nothing at all: so an input that is cut short, such as that of an
agent which is killed, writes whole peers or none, but never what the beginning of a line could mean.
"""

from binascii import b2a_base64
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from ikto_core.plugins import BackendError, Endpoint, PeerPatch, PublicKey, normalise_host


def section(patch: PeerPatch) -> str:
    """Return the section that writes a peer: one with one allowed IP, an IPv4 endpoint and no preshared key in one go.

    Without any allowed IP, it takes away those that the peer has. Raises BackendError as `literal` does.
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
    """Return the section that writes a peer, whatever it has: what `section` says, in plain words."""
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
    """Return a peer's endpoint as `wg` reads it; BackendError if its host is a name, for which `wg` would ask DNS."""
    try:
        return str(Endpoint(normalise_host(endpoint.host), endpoint.port))
    except ValueError as error:
        raise BackendError(f"the endpoint of the peer {public_key}: {error}") from None
