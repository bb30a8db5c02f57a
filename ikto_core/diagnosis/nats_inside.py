"""Which NATS servers have an address inside the mesh, as their names resolve now."""

from collections.abc import Iterable
from contextlib import suppress

from ikto_core.store.addresses import addresses_of
from ikto_core.store.inside_mesh import inside_warning, is_inside
from ikto_core.store.login import without_user
from ikto_core.values.addressing import Prefix


async def servers_inside(servers: Iterable[str], mesh: Prefix) -> list[str]:
    """Return a warning for each address of a server (by its URL) that is inside the mesh."""
    warnings = []
    for server in servers:
        with suppress(OSError, UnicodeError):  # another host may know the name; the agent reports it
            inside = [address for address in await addresses_of(server) if is_inside(mesh, address)]
            warnings += [inside_warning(without_user(server), each, mesh) for each in inside]
    return warnings
