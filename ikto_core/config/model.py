"""The configuration record. Its first eleven settings are those of Ikto 0.3.0."""

import os
from collections.abc import Callable, Mapping
from ipaddress import ip_interface
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from ikto_core.config import types
from ikto_core.config.plugin_settings import names_only
from ikto_core.config.showing import shown
from ikto_core.config.value_checks import AUTO, seconds_of, split_list
from ikto_core.device.model import Interface
from ikto_core.errors import ConfigError
from ikto_core.values.addressing import Endpoint, Prefix, format_address, parse_address


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one node. Make one with `load_config` or `config_of`, which check the values."""

    name: Annotated[types.Text, Meta(description="Name of this node, shown to peers; empty: the host name.")] = ""
    advertise_address: Annotated[
        types.PublicAddress,
        Meta(description='IP address at which peers reach this node; "" or "auto": detected at run time.'),
    ] = ""
    private_address: Annotated[
        types.MeshAddress,
        Meta(description='Address of the device, inside mesh_cidr; "auto": chosen by the IPAM strategy.'),
    ] = ""
    subnet_prefix: Annotated[
        types.PrefixLength, Meta(description="Prefix length of this node's subnet, which contains private_address.")
    ] = 48
    mesh_cidr: Annotated[types.Network, Meta(description="Network of the whole mesh.")] = "fd10::/16"
    wg_dev_name: Annotated[types.Ifname, Meta(description="Name of the WireGuard device.")] = "wg0"
    wg_port: Annotated[types.Port, Meta(description="UDP port that the device listens on.")] = 51820
    private_key_path: Annotated[
        types.KeyPath, Meta(description="File with the device's private key; `ikto key generate` creates one.")
    ] = "/etc/ikto/private.key"
    nats_creds: Annotated[types.FilePath, Meta(description="NATS credentials file; empty: none.")] = ""
    nats_url: Annotated[types.NatsUrl, Meta(description="NATS servers, separated by commas.")] = "nats://127.0.0.1:4222"
    nats_kv: Annotated[types.BucketName, Meta(description="NATS KV bucket of the mesh.")] = "ikto-mesh"

    backend: Annotated[types.PluginName, Meta(description="WireGuard backend; `ikto plugins` lists them.")] = "netlink"
    netns: Annotated[
        types.Netns,
        Meta(description="Network namespace of the device, by name or path (netlink only); empty: the agent's own."),
    ] = ""
    ipam: Annotated[
        types.PluginName, Meta(description='IPAM strategy that proposes subnets if private_address is "auto".')
    ] = "random"
    ipam_reserved: Annotated[
        types.Networks, Meta(description="Networks inside the mesh from which no subnet is proposed.")
    ] = ()
    observers: Annotated[
        types.ObserverTexts,
        Meta(description="Observers of the mesh, each a plugin's name or NAME=ARGUMENT; `ikto plugins` lists them."),
    ] = ()
    blocked_plugins: Annotated[
        types.PluginNames,
        Meta(description="Distributions and plugins that are disabled, by any name that `ikto plugins` lists."),
    ] = ()
    plugins: Annotated[
        types.PluginSettings,
        Meta(description="Settings of plugins by their names; `ikto config schema` shows those of installed plugins."),
    ] = msgspec.field(default_factory=dict)
    state_dir: Annotated[
        types.FilePath,
        Meta(
            description="Directory for state kept between runs; empty: one per device in /var/lib or the user's home."
        ),
    ] = ""
    mtu: Annotated[
        types.Mtu,
        Meta(description='MTU of the device in bytes; "auto": the MTU of the route to peers minus 80, at least 1280.'),
    ] = "auto"
    persistent_keepalive: Annotated[types.Seconds, Meta(description="Seconds between keepalives; 0: off.")] = 0
    fwmark: Annotated[types.Fwmark, Meta(description="Firewall mark of the device's encrypted packets; 0: off.")] = 0
    endpoints: Annotated[
        types.EndpointTexts,
        Meta(description="Endpoints at which peers reach this node, best first; empty: advertise_address and wg_port."),
    ] = ()
    keep_foreign_peers: Annotated[
        types.Flag, Meta(description="Keep peers on the device that other programs configured.")
    ] = False
    adopt_device: Annotated[
        types.Flag,
        Meta(description="Take over a device that has another private key; without it, the agent refuses to start."),
    ] = False
    removal_limit: Annotated[
        types.Percent,
        Meta(description="Percent of the peers that may go or get other keys per minute, or five; 100: no limit."),
    ] = 30
    record_trust: Annotated[
        types.RecordTrust,
        Meta(
            description='Which records are accepted: "any"; "proved", those signed by their own key only; or '
            '"account:A…", of those the ones whose node may write them by a user JWT of this NATS account.'
        ),
    ] = "any"
    nats_account_jwt: Annotated[
        types.FilePath,
        Meta(description="File with the JWT of record_trust's account, for the users that it revokes; empty: none."),
    ] = ""
    metrics_listen: Annotated[
        types.LoopbackListen,
        Meta(description='Where metrics are served over TCP, such as "127.0.0.1:9586"; empty: on the socket only.'),
    ] = ""
    metrics_peers: Annotated[
        types.PeerLimit, Meta(description="Metrics have figures of each peer up to so many peers; 0: never.")
    ] = 200
    lease: Annotated[
        types.Lease,
        Meta(description='How long this node\'s record is kept without a renewal, such as "24h"; empty: forever.'),
    ] = ""
    log_level: Annotated[types.LogLevel, Meta(description="Lowest level that `ikto agent` logs.")] = "info"
    mesh_answers: Annotated[
        types.Flag, Meta(description="Answer `ikto mesh`: tell who may read the bucket how this node is.")
    ] = True
    nats_domain: Annotated[
        types.NatsDomain, Meta(description="JetStream domain of the bucket, if it is not that of the NATS server.")
    ] = ""
    nats_api_prefix: Annotated[
        types.ApiPrefix,
        Meta(description="Prefix of the JetStream API, if another NATS account has the bucket and exports it."),
    ] = ""
    nats_user: Annotated[types.Text, Meta(description="NATS user; requires nats_password.")] = ""
    nats_password: Annotated[types.Secret, Meta(description="Password of nats_user.")] = ""
    nats_token: Annotated[types.Secret, Meta(description="NATS authentication token.")] = ""
    nats_nkey_seed: Annotated[types.FilePath, Meta(description="File with an nkey seed; empty: none.")] = ""
    nats_tls_first: Annotated[
        types.Flag, Meta(description="Begin with TLS, as a NATS server with handshake_first requires.")
    ] = False
    nats_tls_ca: Annotated[
        types.FilePath, Meta(description="File with the CA certificates to trust for NATS; empty: the system's.")
    ] = ""
    nats_tls_cert: Annotated[
        types.FilePath, Meta(description="File with the TLS client certificate; requires nats_tls_key.")
    ] = ""
    nats_tls_key: Annotated[types.FilePath, Meta(description="File with the private key of nats_tls_cert.")] = ""

    @property
    def mesh(self) -> Prefix:
        """The mesh's network."""
        return Prefix.parse(self.mesh_cidr)

    @property
    def reserved(self) -> frozenset[Prefix]:
        """The networks from which no strategy may propose a subnet."""
        return frozenset(map(Prefix.parse, self.ipam_reserved))

    @property
    def subnet(self) -> Prefix | None:
        """The configured subnet of this node; None: the IPAM strategy proposes one."""
        if self.private_address == AUTO:
            return None
        return Prefix.of(parse_address(self.private_address), self.subnet_prefix)

    @property
    def interface(self) -> Interface | None:
        """The device's address with the mesh's prefix length; None: it depends on the subnet that is claimed."""
        if self.private_address == AUTO:
            return None
        return ip_interface(f"{self.private_address}/{self.mesh.length}")

    @property
    def advertised(self) -> str | None:
        """The address to advertise, in RFC 5952 form; None: detected at run time."""
        if self.advertise_address in ("", AUTO):
            return None
        return format_address(parse_address(self.advertise_address))

    @property
    def advertised_endpoints(self) -> tuple[Endpoint, ...]:
        """The configured endpoints, best first; empty: the advertised address and wg_port are used."""
        return tuple(Endpoint.parse(text) for text in self.endpoints)

    @property
    def device_mtu(self) -> int | None:
        """The device's MTU in bytes; None: detected at run time."""
        return None if self.mtu == "auto" else self.mtu

    @property
    def lease_s(self) -> int:
        """How long this node's record is kept without a renewal, in seconds; 0: forever."""
        return seconds_of(self.lease) if self.lease else 0

    @property
    def nats_servers(self) -> list[str]:
        """The URLs of the NATS servers. They may contain passwords: don't log them."""
        return split_list(self.nats_url)

    def state_path(self, *, environ: Mapping[str, str] = os.environ, uid: int | None = None) -> Path:
        """Return the directory for state kept between runs. Raises ConfigError if there is no home directory for it.

        Without `state_dir` there is one directory per device: under /var/lib for root, otherwise in the state directory
        of the XDG base directory specification. `uid` None: the user id of this process.
        """
        if self.state_dir:
            return Path(self.state_dir)
        device = self.wg_dev_name + (f"@{self.netns.strip('/').replace('/', '-')}" if self.netns else "")
        if (os.geteuid() if uid is None else uid) == 0:
            return Path("/var/lib/ikto") / device
        return _state_home(environ) / "ikto" / device

    def shown(self) -> dict[str, object]:
        """Return the settings by name as JSON values, with secrets hidden."""
        plain = msgspec.to_builtins(self)
        return {name: _unquoted(_safe(show, plain[name])) for name, show in _SHOWS.items()}

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Return the settings for rich, with secrets hidden; `repr` shows the same."""
        return [(name, _safe(show, getattr(self, name))) for name, show in _SHOWS.items()]

    def __repr__(self) -> str:
        return f"Config({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


_SHOWS = {
    field.name: next(note for note in field.type.__metadata__ if isinstance(note, types.Info)).show
    for field in msgspec.structs.fields(Config)
}
"""The function that prints each setting without its secrets."""


def _safe(show: Callable[[object], str], value: object) -> object:
    if isinstance(value, dict):
        return names_only(value)
    return value if not value or show(value) == shown(value) else show(value)


def _unquoted(value: object) -> object:
    """Return a URL that is shown without its password as it would be without one: not as JSON."""
    return value.strip('"') if isinstance(value, str) else value


def _state_home(environ: Mapping[str, str]) -> Path:
    for base, below in ((environ.get("XDG_STATE_HOME", ""), ""), (environ.get("HOME", ""), ".local/state")):
        if base.startswith("/"):  # the specification says to ignore relative paths
            return Path(base) / below
    raise ConfigError("state_dir: is empty, and there is no home directory", hint="set state_dir, or the variable HOME")
