"""The types of settings: what msgspec checks, further checks, and the words for error messages."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, get_args

from msgspec import Meta

from ikto_core.config.showing import hidden, redacted, shown, shown_object
from ikto_core.config.value_checks import (
    check_advertised,
    check_api_prefix,
    check_endpoint,
    check_ifname,
    check_lease,
    check_loopback,
    check_nats_url,
    check_netns,
    check_network,
    check_no_repeats,
    check_own_address,
    check_record_trust,
)
from ikto_core.mesh.records import MAX_ENDPOINTS


def _accept(_value: object) -> None:
    """Accept every value of the type."""


class Info(NamedTuple):
    """The words for a type in messages, and a check beyond what the type expresses."""

    noun: str  # completes "70000 is not …"
    right: str  # completes "give …"
    check: Callable[[Any], None] = _accept  # raises ValueError, or BetterValueError with the right value
    show: Callable[[object], str] = shown  # prints a value without its secrets


Flag = Annotated[bool, Info("true or false", "true or false")]
Text = Annotated[str, Meta(max_length=255), Info("a text of at most 255 characters", "no more than that, in quotes")]
FilePath = Annotated[str, Info("a path", 'the path of a file, or "" for none')]
KeyPath = Annotated[str, Meta(min_length=1), Info("a path", 'the path of a file such as "/etc/ikto/private.key"')]
Secret = Annotated[str, Info("a text", "a text in quotes", show=hidden)]
PluginName = Annotated[
    str,
    Meta(pattern="^[a-z0-9-]+$"),
    Info("a plugin's name", "lower case letters, digits and -; see `ikto plugins`"),
]
PluginNames = Annotated[
    tuple[
        Annotated[str, Meta(pattern=r"^[^\s,]+\Z"), Info("a plugin's name", "a name that `ikto plugins` lists")],
        ...,
    ],
    Info("a list of plugins' names", 'a list such as ["acme-ikto"]; see `ikto plugins`'),
]
PluginSettings = Annotated[
    dict[str, dict[str, Any]],
    Info(
        "an object of objects",
        'the settings of each plugin by its name, such as {"conf": {"directory": "/etc/wireguard"}}',
        show=shown_object,
    ),
]
ObserverText = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9-]+(=.*)?\Z"),
    Info("an observer", 'a plugin\'s name, and its argument after "=", such as "exec=/usr/local/bin/hook"'),
]
ObserverTexts = Annotated[
    tuple[ObserverText, ...],
    Info("a list of observers, none twice", 'a list such as ["hosts", "exec=/usr/local/bin/hook"]', check_no_repeats),
]

Port = Annotated[int, Meta(ge=1, le=65535), Info("a port", "1 to 65535")]
PrefixLength = Annotated[
    int, Meta(ge=0, le=128), Info("a prefix length", "the mesh's own length up to 32 (IPv4) or 128 (IPv6)")
]
Seconds = Annotated[int, Meta(ge=0, le=65535), Info("a number of seconds", "0 (off) to 65535")]
Percent = Annotated[int, Meta(ge=0, le=100), Info("a percentage", "0 to 100")]
RecordTrust = Annotated[
    str,
    Meta(pattern=r"^(any|proved|account:A[A-Z2-7]{55}(,A[A-Z2-7]{55}){0,15})\Z"),
    Info(
        "a way to trust records",
        '"any", "proved", or "account:" and the public key of a NATS account, then those of its signing keys',
        check_record_trust,
    ),
]
Lease = Annotated[
    str,
    Meta(pattern=r"^([0-9]{1,7}[smhd])?\Z"),
    Info("a lease", '10m to 30d, such as "90m", "24h" or "7d"; "" for none', check_lease),
]
Fwmark = Annotated[int, Meta(ge=0, le=2**32 - 1), Info("a firewall mark", f"0 (off) to {2**32 - 1}")]
Mtu = Annotated[Annotated[int, Meta(ge=1280, le=65535)] | Literal["auto"], Info("an MTU", '1280 to 65535, or "auto"')]
LevelName = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[str, ...] = get_args(LevelName)
"""From the lowest on."""

LogLevel = Annotated[LevelName, Info("a level of the log", '"debug", "info", "warning" or "error"')]

Network = Annotated[str, Info("a network", 'an address and a length such as "fd10::/16"', check_network)]
Networks = Annotated[tuple[Network, ...], Info("a list of networks", 'a list such as ["fd10::/32", "fd10:ff00::/24"]')]
MeshAddress = Annotated[str, Info("an IP address", 'an address inside the mesh, or "auto"', check_own_address)]
PublicAddress = Annotated[
    str, Info("an IP address that peers can reach", 'one such as "203.0.113.10", or "auto"', check_advertised)
]
EndpointText = Annotated[
    str,
    Info(
        "an endpoint that peers can reach", 'one such as "203.0.113.10:51820" or "[2001:db8::1]:51820"', check_endpoint
    ),
]
EndpointTexts = Annotated[
    tuple[EndpointText, ...],
    Meta(max_length=MAX_ENDPOINTS),
    Info(f"a list of at most {MAX_ENDPOINTS} endpoints", 'a list such as ["203.0.113.10:51820"]'),
]

# What the kernel's dev_valid_name() accepts, without '%', which would make the name a pattern (net/core/dev.c).
Ifname = Annotated[
    str,
    Meta(pattern=r"^[^\s/:%]{1,15}$"),
    Info("a name for a network device", '1 to 15 bytes without space, "/", ":" and "%", such as "wg0"', check_ifname),
]
Netns = Annotated[
    str,
    Meta(pattern=r"^[^\s\x00]*$"),
    Info(
        "a network namespace",
        'a name that `ip netns` lists, an absolute path, or "" for the agent\'s own',
        check_netns,
    ),
]
BucketName = Annotated[
    str, Meta(pattern="^[A-Za-z0-9_-]+$"), Info("a bucket's name", "letters, digits, _ and - such as ikto-mesh")
]
NatsDomain = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_-]*\Z"), Info("a JetStream domain", 'letters, digits, _ and - such as "hub"')
]
ApiPrefix = Annotated[
    str,
    Meta(max_length=255, pattern=r"^([^\s.*>]+(\.[^\s.*>]+)*\.?)?\Z"),
    Info("a prefix of subjects", 'words with dots between them, such as "MESH.API"', check_api_prefix),
]
LoopbackListen = Annotated[
    str,
    Info("an address and a port of the loopback", '"127.0.0.1:9586" or "[::1]:9586", or "" for none', check_loopback),
]
PeerLimit = Annotated[int, Meta(ge=0, le=100_000), Info("a number of peers", "0 (none) to 100000")]
NatsUrl = Annotated[
    str,
    Info(
        "one or more NATS URLs",
        "nats://, tls://, ws:// or wss:// and a host, separated by commas (ws and wss can't be mixed with the others)",
        check_nats_url,
        redacted,
    ),
]
