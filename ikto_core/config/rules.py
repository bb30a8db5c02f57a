"""What the members of a configuration must fulfil together."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

from ikto_core.config.model import Config
from ikto_core.config.types import AUTO, shown
from ikto_core.values.addressing import Prefix, parse_address

STATIC = "static"
"""The IPAM strategy of who wants no address but the configured one."""


class Fault(NamedTuple):
    """What is wrong with a member, and what would be right."""

    member: str
    wrong: str
    advice: str


class Rule(NamedTuple):
    """A check of some members, which can be made only if each of these is sound by itself."""

    members: frozenset[str]
    faults: Callable[[Config], Iterator[Fault]]


def _private_address_is_given(config: Config) -> Iterator[Fault]:
    if not config.private_address:
        yield Fault("private_address", "is empty", 'give an address inside the mesh, or "auto"; `ikto init` draws one')


def _private_address_is_in_mesh(config: Config) -> Iterator[Fault]:
    address = config.private_address
    if address not in ("", AUTO) and not _holds(config.mesh, address):
        yield Fault("private_address", f"{shown(address)} is outside the mesh", f"give one inside {config.mesh}")


def _private_address_is_one_hosts(config: Config) -> Iterator[Fault]:
    address = config.private_address
    if address not in ("", AUTO) and parse_address(address) == config.mesh.broadcast:
        wrong = f"{shown(address)} is the broadcast address of {config.mesh}"
        yield Fault("private_address", wrong, "give another one")


def _something_chooses(config: Config) -> Iterator[Fault]:
    if config.private_address == AUTO and config.ipam == STATIC:
        advice = 'give the address to use here, or another ipam such as "random"'
        yield Fault("private_address", f'{shown(AUTO)} lets ipam "{STATIC}" choose, which never does', advice)


def _reserved_is_in_mesh(config: Config) -> Iterator[Fault]:
    for network in config.ipam_reserved:
        if not config.mesh.overlaps(Prefix.parse(network)):
            yield Fault("ipam_reserved", f"{shown(network)} is outside the mesh", f"give networks inside {config.mesh}")


def _subnet_fits_mesh(config: Config) -> Iterator[Fault]:
    shortest, longest = config.mesh.length, config.mesh.bits
    if config.subnet_prefix < shortest:
        wrong = f"{config.subnet_prefix} is shorter than the mesh's own prefix"
    elif config.subnet_prefix > longest:
        wrong = f"{config.subnet_prefix} is longer than an address of the mesh"
    else:
        return
    yield Fault("subnet_prefix", wrong, f"give {shortest} to {longest} for {config.mesh}")


def _advertised_is_outside_mesh(config: Config) -> Iterator[Fault]:
    advice = "give one that peers reach without the mesh"
    if config.advertised and _holds(config.mesh, config.advertised):
        yield Fault("advertise_address", f"{shown(config.advertised)} is inside the mesh", advice)
    for endpoint in config.advertised_endpoints:
        if _holds(config.mesh, endpoint.host.partition("%")[0]):
            yield Fault("endpoints", f"{shown(str(endpoint))} is inside the mesh", advice)


def _holds(mesh: Prefix, address: str) -> bool:
    packed = parse_address(address)
    return mesh.covers(Prefix.of(packed, len(packed) * 8))


def _one_way_to_authenticate(config: Config) -> Iterator[Fault]:
    ways = {
        "nats_creds": config.nats_creds,
        "nats_user": config.nats_user or config.nats_password,
        "nats_token": config.nats_token,
        "nats_nkey_seed": config.nats_nkey_seed,
        "nats_url": any("@" in urlsplit(server).netloc for server in config.nats_servers),
    }
    first, *others = [member for member, given in ways.items() if given] or [""]
    for member in others:
        how = "has a user" if member == "nats_url" else "is a second way to authenticate"
        yield Fault(member, f"{how} beside {first}", "give only one of them")


def _come_together(one: str, other: str, config: Config) -> Iterator[Fault]:
    for member, missing in ((one, other), (other, one)):
        if getattr(config, member) and not getattr(config, missing):
            yield Fault(member, f"is given without {missing}", "give both or neither")


def _pair(one: str, other: str) -> Rule:
    return Rule(frozenset({one, other}), partial(_come_together, one, other))


_WAYS = frozenset({"nats_creds", "nats_user", "nats_password", "nats_token", "nats_nkey_seed", "nats_url"})

RULES = (
    Rule(frozenset({"private_address"}), _private_address_is_given),
    Rule(frozenset({"mesh_cidr", "private_address"}), _private_address_is_in_mesh),
    Rule(frozenset({"mesh_cidr", "private_address"}), _private_address_is_one_hosts),
    Rule(frozenset({"private_address", "ipam"}), _something_chooses),
    Rule(frozenset({"mesh_cidr", "subnet_prefix"}), _subnet_fits_mesh),
    Rule(frozenset({"mesh_cidr", "ipam_reserved"}), _reserved_is_in_mesh),
    Rule(frozenset({"mesh_cidr", "advertise_address", "endpoints"}), _advertised_is_outside_mesh),
    Rule(_WAYS, _one_way_to_authenticate),
    _pair("nats_user", "nats_password"),
    _pair("nats_tls_cert", "nats_tls_key"),
)
