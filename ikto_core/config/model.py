"""The configuration: one record, whose first eleven members are those of Ikto 0.3.0."""

import os
from collections.abc import Callable, Mapping
from ipaddress import ip_interface
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from ikto_core.config import types as forms
from ikto_core.device.model import Interface
from ikto_core.errors import ConfigError
from ikto_core.values.addressing import Endpoint, Prefix, format_address, parse_address


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this host takes part in its mesh. Get one from `load_config`: only that one has been checked."""

    name: Annotated[forms.Text, Meta(description="What peers see this host as; empty: the host's name.")] = ""
    advertise_address: Annotated[
        forms.PublicAddress,
        Meta(description='IP address that peers reach this host at; "" or "auto": found at run time.'),
    ] = ""
    private_address: Annotated[
        forms.MeshAddress,
        Meta(description='Address of the device, inside mesh_cidr; "auto": claimed by the IPAM strategy.'),
    ] = ""
    subnet_prefix: Annotated[
        forms.PrefixLength, Meta(description="Length in bits of a host's subnet, the one around its private_address.")
    ] = 48
    mesh_cidr: Annotated[forms.Network, Meta(description="Network of the whole mesh.")] = "fd10::/16"
    wg_dev_name: Annotated[forms.Ifname, Meta(description="Name of the WireGuard device.")] = "wg0"
    wg_port: Annotated[forms.Port, Meta(description="UDP port that the device listens on.")] = 51820
    private_key_path: Annotated[
        forms.KeyPath, Meta(description="File of the device's private key, as `ikto key generate` makes it.")
    ] = "/etc/ikto/private.key"
    nats_creds: Annotated[forms.FilePath, Meta(description="NATS credentials file; empty: none.")] = ""
    nats_url: Annotated[forms.NatsUrl, Meta(description="NATS servers, separated by commas.")] = "nats://127.0.0.1:4222"
    nats_kv: Annotated[forms.BucketName, Meta(description="NATS KV bucket of the mesh.")] = "ikto-mesh"

    backend: Annotated[forms.PluginName, Meta(description="What drives WireGuard; see `ikto plugins`.")] = "netlink"
    netns: Annotated[
        forms.Netns,
        Meta(description="Network namespace of the device, by name or path (netlink only); empty: the agent's own."),
    ] = ""
    ipam: Annotated[
        forms.PluginName, Meta(description='Strategy that proposes subnets for private_address "auto".')
    ] = "random"
    ipam_reserved: Annotated[
        forms.Networks, Meta(description="Networks in the mesh that the IPAM strategy never proposes a subnet of.")
    ] = ()
    observers: Annotated[
        forms.ObserverTexts,
        Meta(description="Who is told of the mesh's peers, each a plugin's name or NAME=ARGUMENT; see `ikto plugins`."),
    ] = ()
    blocked_plugins: Annotated[
        forms.PluginNames,
        Meta(description="Distributions and plugins that are off, by any name that `ikto plugins` lists."),
    ] = ()
    state_dir: Annotated[
        forms.FilePath,
        Meta(description="Directory for what outlives the agent; empty: one of its own under /var/lib or the home."),
    ] = ""
    mtu: Annotated[
        forms.Mtu,
        Meta(description='MTU of the device in bytes; "auto": that of the route to peers less 80, at least 1280.'),
    ] = "auto"
    persistent_keepalive: Annotated[forms.Seconds, Meta(description="Seconds between keepalives; 0: off.")] = 0
    fwmark: Annotated[forms.Fwmark, Meta(description="Firewall mark of the device's own packets; 0: off.")] = 0
    endpoints: Annotated[
        forms.EndpointTexts,
        Meta(description="Where peers may reach this host, best first; empty: advertise_address and wg_port."),
    ] = ()
    keep_foreign_peers: Annotated[
        forms.Flag, Meta(description="Whether peers of the device that others configured stay.")
    ] = False
    removal_limit: Annotated[
        forms.Percent,
        Meta(description="Percent of the peers that may go from the device within a minute, five at least; 100: all."),
    ] = 30
    lease: Annotated[
        forms.Lease,
        Meta(description='How long the record outlives this host unrenewed, such as "24h"; empty: for ever.'),
    ] = ""
    nats_user: Annotated[forms.Text, Meta(description="NATS user; needs nats_password.")] = ""
    nats_password: Annotated[forms.Secret, Meta(description="Password of nats_user.")] = ""
    nats_token: Annotated[forms.Secret, Meta(description="NATS authentication token.")] = ""
    nats_nkey_seed: Annotated[forms.FilePath, Meta(description="File of an nkey seed; empty: none.")] = ""
    nats_tls_ca: Annotated[
        forms.FilePath, Meta(description="CA certificates to trust for NATS; empty: the system's.")
    ] = ""
    nats_tls_cert: Annotated[forms.FilePath, Meta(description="Client certificate; needs nats_tls_key.")] = ""
    nats_tls_key: Annotated[forms.FilePath, Meta(description="Private key of nats_tls_cert.")] = ""

    @property
    def mesh(self) -> Prefix:
        """The mesh's network."""
        return Prefix.parse(self.mesh_cidr)

    @property
    def reserved(self) -> frozenset[Prefix]:
        """The networks in which no strategy may propose a subnet."""
        return frozenset(map(Prefix.parse, self.ipam_reserved))

    @property
    def subnet(self) -> Prefix | None:
        """The subnet that is ours by configuration; None: the IPAM strategy finds one."""
        if self.private_address == forms.AUTO:
            return None
        return Prefix.of(parse_address(self.private_address), self.subnet_prefix)

    @property
    def interface(self) -> Interface | None:
        """The device's address with the mesh's prefix length; None: the IPAM strategy finds one."""
        if self.private_address == forms.AUTO:
            return None
        return ip_interface(f"{self.private_address}/{self.mesh.length}")

    @property
    def advertised(self) -> str | None:
        """The address to advertise in RFC 5952 form; None: to be found at run time."""
        if self.advertise_address in ("", forms.AUTO):
            return None
        return format_address(parse_address(self.advertise_address))

    @property
    def advertised_endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints configured, best first; empty: advertised address and port."""
        return tuple(Endpoint.parse(text) for text in self.endpoints)

    @property
    def device_mtu(self) -> int | None:
        """The device's MTU in bytes; None: to be found at run time."""
        return None if self.mtu == "auto" else self.mtu

    @property
    def lease_s(self) -> int:
        """How long our record outlives us, in seconds; 0: for ever."""
        return forms.seconds_of(self.lease) if self.lease else 0

    @property
    def nats_servers(self) -> list[str]:
        """The servers' URLs, one each. They may hold passwords: not for a log."""
        return forms.split_list(self.nats_url)

    def state_path(self, *, environ: Mapping[str, str] = os.environ, uid: int | None = None) -> Path:
        """Return the directory for what outlives the agent; ConfigError if there is no home to put it in.

        Without `state_dir` it is one per device: under /var/lib as root (`uid` 0; None: ours), else where the XDG
        base directory specification puts state.
        """
        if self.state_dir:
            return Path(self.state_dir)
        device = self.wg_dev_name + (f"@{self.netns.strip('/').replace('/', '-')}" if self.netns else "")
        if (os.geteuid() if uid is None else uid) == 0:
            return Path("/var/lib/ikto") / device
        return _state_home(environ) / "ikto" / device

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Return the members for rich, secrets hidden; `repr` shows the same."""
        return [(name, _safe(show, getattr(self, name))) for name, show in _SHOWS.items()]

    def __repr__(self) -> str:
        return f"Config({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


_SHOWS = {
    field.name: next(note for note in field.type.__metadata__ if isinstance(note, forms.Info)).show
    for field in msgspec.structs.fields(Config)
}
"""How each member may be printed."""


def _safe(show: Callable[[object], str], value: object) -> object:
    return value if not value or show(value) == forms.shown(value) else show(value)


def _state_home(environ: Mapping[str, str]) -> Path:
    for base, below in ((environ.get("XDG_STATE_HOME", ""), ""), (environ.get("HOME", ""), ".local/state")):
        if base.startswith("/"):  # the specification: a relative one is to be ignored
            return Path(base) / below
    raise ConfigError("state_dir: is empty, and there is no home directory", hint="give state_dir, or set HOME")
