"""Checks that involve several settings, such as an address that must lie inside the mesh."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

from ikto_core.config.model import Config
from ikto_core.config.showing import shown
from ikto_core.config.value_checks import AUTO
from ikto_core.mesh.rights import TRUST_PREFIX
from ikto_core.values.addressing import Prefix, parse_address

STATIC = "static"
"""The IPAM strategy that never proposes a subnet: private_address must be given."""

LOOPBACK = "lo"


class Fault(NamedTuple):
    """What is wrong with a setting, and what to give instead."""

    setting: str
    wrong: str
    advice: str


class Rule(NamedTuple):
    """A check of some settings. It runs only if each of them is valid by itself."""

    settings: frozenset[str]
    faults: Callable[[Config], Iterator[Fault]]


def _private_address_is_given(config: Config) -> Iterator[Fault]:
    if not config.private_address:
        yield Fault(
            "private_address",
            "is empty",
            'give an address inside the mesh, or "auto"; `ikto init` chooses a random one',
        )


def _private_address_is_in_mesh(config: Config) -> Iterator[Fault]:
    address = config.private_address
    if address not in ("", AUTO) and not _holds(config.mesh, address):
        yield Fault("private_address", f"{shown(address)} is outside the mesh", f"give one inside {config.mesh}")


def _private_address_is_not_broadcast(config: Config) -> Iterator[Fault]:
    address = config.private_address
    if address not in ("", AUTO) and parse_address(address) == config.mesh.broadcast:
        wrong = f"{shown(address)} is the broadcast address of {config.mesh}"
        yield Fault("private_address", wrong, "give another address")


def _static_has_an_address(config: Config) -> Iterator[Fault]:
    if config.private_address == AUTO and config.ipam == STATIC:
        advice = 'give the address to use, or another ipam such as "random"'
        yield Fault(
            "private_address",
            f'{shown(AUTO)} needs an ipam that proposes subnets, which "{STATIC}" does not',
            advice,
        )


def _reserved_is_in_mesh(config: Config) -> Iterator[Fault]:
    for network in config.ipam_reserved:
        if not config.mesh.overlaps(Prefix.parse(network)):
            yield Fault("ipam_reserved", f"{shown(network)} is outside the mesh", f"give networks inside {config.mesh}")


def _mesh_has_an_outside(config: Config) -> Iterator[Fault]:
    if config.mesh.length == 0:
        wrong = f"{shown(config.mesh_cidr)} contains every address, also those at which peers are reached"
        yield Fault("mesh_cidr", wrong, 'give a private network such as "fd10::/16" or "10.0.0.0/8"')


def _device_is_not_loopback(config: Config) -> Iterator[Fault]:
    if config.wg_dev_name == LOOPBACK:
        yield Fault("wg_dev_name", f"{shown(LOOPBACK)} is the loopback device", 'give another name, such as "wg0"')


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
    advice = "give one that peers reach without it"
    if config.advertised and _holds(config.mesh, config.advertised):
        yield Fault("advertise_address", f"{shown(config.advertised)} is inside the mesh", advice)
    for endpoint in config.advertised_endpoints:
        if _holds(config.mesh, endpoint.host.partition("%")[0]):
            yield Fault("endpoints", f"{shown(str(endpoint))} is inside the mesh", advice)


def _holds(mesh: Prefix, address: str) -> bool:
    packed = parse_address(address)
    return mesh.covers(Prefix.of(packed, len(packed) * 8))


def _one_way_to_authenticate(config: Config) -> Iterator[Fault]:
    credentials = {
        "nats_creds": config.nats_creds,
        "nats_user": config.nats_user or config.nats_password,
        "nats_token": config.nats_token,
        "nats_nkey_seed": config.nats_nkey_seed,
        "nats_url": _has_user(config) and not config.nats_creds,
    }
    first, *others = [setting for setting, given in credentials.items() if given] or [""]
    for setting in others:
        how = "has a user" if setting == "nats_url" else "is a second way to authenticate"
        yield Fault(setting, f"{how} beside {first}", "give only one of them")


def _has_user(config: Config) -> bool:
    return any("@" in urlsplit(server).netloc for server in config.nats_servers)


def _user_beside_creds(config: Config) -> Iterator[Fault]:
    """Yield that a user in the URL is used only where the server does not ask for a signature, as by 0.3.0."""
    if config.nats_creds and _has_user(config):
        yield Fault("nats_url", "has a user beside nats_creds, which a server with user JWTs ignores", "leave one out")


def _domain_or_prefix(config: Config) -> Iterator[Fault]:
    if config.nats_domain and config.nats_api_prefix:
        advice = "give nats_domain for another JetStream domain, or nats_api_prefix for another account"
        yield Fault("nats_api_prefix", "is given beside nats_domain", advice)


def _account_jwt_has_an_account(config: Config) -> Iterator[Fault]:
    if config.nats_account_jwt and not config.record_trust.startswith(TRUST_PREFIX):
        yield Fault(
            "nats_account_jwt", "is given without an account in record_trust", 'set record_trust to "account:A…"'
        )


def _both_or_neither(one: str, other: str, config: Config) -> Iterator[Fault]:
    for setting, missing in ((one, other), (other, one)):
        if getattr(config, setting) and not getattr(config, missing):
            yield Fault(setting, f"is given without {missing}", "give both or neither")


def _pair(one: str, other: str) -> Rule:
    return Rule(frozenset({one, other}), partial(_both_or_neither, one, other))


_CREDENTIALS = frozenset({"nats_creds", "nats_user", "nats_password", "nats_token", "nats_nkey_seed", "nats_url"})

RULES = (
    Rule(frozenset({"private_address"}), _private_address_is_given),
    Rule(frozenset({"mesh_cidr", "private_address"}), _private_address_is_in_mesh),
    Rule(frozenset({"mesh_cidr", "private_address"}), _private_address_is_not_broadcast),
    Rule(frozenset({"private_address", "ipam"}), _static_has_an_address),
    Rule(frozenset({"mesh_cidr"}), _mesh_has_an_outside),
    Rule(frozenset({"mesh_cidr", "subnet_prefix"}), _subnet_fits_mesh),
    Rule(frozenset({"wg_dev_name"}), _device_is_not_loopback),
    Rule(frozenset({"mesh_cidr", "ipam_reserved"}), _reserved_is_in_mesh),
    Rule(frozenset({"mesh_cidr", "advertise_address", "endpoints"}), _advertised_is_outside_mesh),
    Rule(_CREDENTIALS, _one_way_to_authenticate),
    Rule(frozenset({"nats_domain", "nats_api_prefix"}), _domain_or_prefix),
    Rule(frozenset({"record_trust", "nats_account_jwt"}), _account_jwt_has_an_account),
    _pair("nats_user", "nats_password"),
    _pair("nats_tls_cert", "nats_tls_key"),
)

WARNINGS = (Rule(frozenset({"nats_creds", "nats_url"}), _user_beside_creds),)
"""What is accepted because 0.3.0 accepts it."""
