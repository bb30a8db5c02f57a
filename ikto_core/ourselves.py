"""What a configuration makes of us: our record in the bucket, and our device."""

from ipaddress import ip_interface

from ikto_core import __version__
from ikto_core.addressing import Prefix, parse_address
from ikto_core.config import Config
from ikto_core.keys import PrivateKey
from ikto_core.model import DeviceSpec
from ikto_core.own_record import Identity
from ikto_core.records import PeerRecord


def own_subnet(config: Config, address: str) -> Prefix:
    """Return the canonical subnet around a private address."""
    return Prefix.of(parse_address(address), config.subnet_prefix)


def own_record(config: Config, name: str, identity: Identity, address: str, advertise_address: str) -> PeerRecord:
    """Return the record that claims the subnet around `address`, but for its nonce."""
    return PeerRecord(
        name=name,
        public_key=identity.public_key,
        advertise_address=advertise_address,
        allowed_ip=str(own_subnet(config, address)),
        wg_port=config.wg_port,
        endpoints=config.advertised_endpoints,
        instance=identity.instance,
        agent=f"ikto {__version__}",
    )


def own_device(config: Config, private_key: PrivateKey, address: str | None) -> DeviceSpec:
    """Return our device without its peers; `address` None: it has no address, for none is ours."""
    interfaces = {ip_interface(f"{address}/{config.mesh.length}")} if address else set()
    return DeviceSpec(
        private_key=private_key,
        listen_port=config.wg_port,
        addresses=frozenset(interfaces),
        peers={},
        fwmark=config.fwmark,
        mtu=config.device_mtu,
        keep_foreign_peers=config.keep_foreign_peers,
    )
