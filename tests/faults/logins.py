"""A nats-server with two users: `admin`, whom the tests are, and `node`, whose rights may be taken away."""

from typing import Any

PASSWORD = "p4ssword"
ADMIN: dict[str, Any] = {"nats_user": "admin", "nats_password": PASSWORD}
AGENT: dict[str, Any] = {"nats_user": "node", "nats_password": PASSWORD}
DENIED = 'publish: { deny: [">"] }, subscribe: { deny: [">"] }'


def users(restriction: str = "") -> str:
    """Return a server's configuration in which `node` is restricted; empty: may do everything."""
    granted = restriction or 'publish: [">"], subscribe: [">"]'
    node = f"{{ user: node, password: {PASSWORD}, permissions: {{ {granted} }} }}"
    return f"authorization {{ users: [ {{ user: admin, password: {PASSWORD} }}, {node} ] }}"
