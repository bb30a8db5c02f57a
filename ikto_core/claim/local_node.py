"""What a configuration makes of us: the mesh we are in, what we ask for there, our record, our device, our login."""

import re
from ipaddress import ip_interface
from random import Random

from ikto_core import __version__
from ikto_core.claim.policy import Identity
from ikto_core.config import Config
from ikto_core.device.model import DeviceSpec
from ikto_core.disk.state_file import Claim
from ikto_core.ipam.contract import IpamRequest
from ikto_core.mesh.records import PeerRecord
from ikto_core.mesh.view import MeshRules
from ikto_core.store.session import NatsSettings
from ikto_core.values.addressing import Prefix, format_address, parse_address
from ikto_core.values.keys import PrivateKey, PublicKey


def mesh_rules(config: Config, public_key: PublicKey) -> MeshRules:
    """Return what records are judged by, as long as no subnet is ours."""
    return MeshRules(cidr=config.mesh, subnet_prefix=config.subnet_prefix, own_key=public_key)


def own_request(
    config: Config, name: str, public_key: PublicKey, taken: frozenset[Prefix], random: Random
) -> IpamRequest:
    """Return what an IPAM strategy is told when we look for a subnet."""
    return IpamRequest(
        mesh_cidr=config.mesh,
        subnet_prefix=config.subnet_prefix,
        public_key=public_key,
        name=name,
        taken=taken,
        random=random,
    )


def own_subnet(config: Config, address: str) -> Prefix:
    """Return the canonical subnet around a private address."""
    return Prefix.of(parse_address(address), config.subnet_prefix)


def own_claim(config: Config, public_key: PublicKey, address: str) -> Claim:
    """Return what to keep once the subnet around `address` is ours."""
    return Claim(
        private_address=address,
        mesh_cidr=str(config.mesh),
        subnet_prefix=config.subnet_prefix,
        public_key=public_key.text,
        bucket=config.nats_kv,
    )


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
        next_public_key=identity.next_key,
        lease=config.lease_s,
        address=format_address(parse_address(address)),
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


def nats_settings(config: Config, name: str) -> NatsSettings:
    """Return where NATS is and how to log in; replies go to an inbox of the node's own, `_INBOX_<name>`."""
    return NatsSettings(
        servers=tuple(config.nats_servers),
        name=f"ikto {name}",
        inbox="_INBOX_" + re.sub(r"[^A-Za-z0-9_-]", "_", name),
        user=config.nats_user,
        password=config.nats_password,
        token=config.nats_token,
        nkey_seed=config.nats_nkey_seed,
        creds=config.nats_creds,
        tls_ca=config.nats_tls_ca,
        tls_cert=config.nats_tls_cert,
        tls_key=config.nats_tls_key,
    )
