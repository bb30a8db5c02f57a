"""Forms of names and values that Ikto 0.3.0 accepts in a configuration, and what they mean. Pure."""

from ikto_core.config.kinds import SETTINGS
from ikto_core.config.model import Config
from ikto_core.config.value_checks import split_list
from ikto_core.values.addressing import Prefix, format_address, parse_address

_MAPPED = bytes(10) + b"\xff\xff"
_DEFAULT_NATS_URL = Config().nats_url


def setting_named(name: str) -> str | None:
    """Return the setting that a member of a file names, in whatever case, as for Go; None: it names none."""
    return name if name in SETTINGS else folded if (folded := name.casefold()) in SETTINGS else None


def usual_value(setting: str, value: object) -> object:
    """Return the value that this one stands for: the same one, unless it has a form that only 0.3.0 has.

    What is not valid in any form is returned as it is.
    """
    if not isinstance(value, str) or setting not in _USUAL:
        return value
    usual = _USUAL[setting](value)
    try:
        SETTINGS[setting].convert(usual, is_text=False)
    except ValueError:
        return value
    return usual


def _without_host_bits(text: str) -> str:
    try:
        network = Prefix.parse(text)
        return text if parse_address(text.partition("/")[0]) == network.address else str(network)
    except ValueError:
        return text


def _without_mapping(text: str) -> str:
    """Return an IPv4 address in IPv6 form, such as ::ffff:10.1.2.3, as IPv4."""
    try:
        packed = parse_address(text)
    except ValueError:
        return text
    return format_address(packed.removeprefix(_MAPPED)) if packed.startswith(_MAPPED) else text


def _with_schemes(text: str) -> str:
    """Return NATS URLs as the Go client reads them: without empty ones, and each with a scheme."""
    urls = [_with_scheme(url) for url in split_list(text) if url]
    return text if urls and urls == split_list(text) else ",".join(urls) or _DEFAULT_NATS_URL


def _with_scheme(url: str) -> str:
    is_bare = "/" not in url and not url.endswith(":")
    return f"nats://{url}" if is_bare else url


_USUAL = {
    "advertise_address": _without_mapping,
    "private_address": _without_mapping,
    "mesh_cidr": _without_host_bits,
    "nats_url": _with_schemes,
}
