"""What each room gets of the configuration: no room below the agent sees all of it."""

from urllib.parse import urlsplit

from ikto_core.claim.local_node import LocalNode
from ikto_core.claim.node_user import NodeUser
from ikto_core.config import Config
from ikto_core.device.backend import BackendContext
from ikto_core.mesh.rights import Authority
from ikto_core.observers.contract import ObserverContext
from ikto_core.store.inbox import inbox_of_node
from ikto_core.store.session import NatsSettings
from ikto_core.store.subjects import api_prefix
from ikto_core.underlay.routes import host_name


def node_name(config: Config) -> str:
    """Return this node's name: the configured one, else the host's."""
    return config.name or host_name()


def backend_context(config: Config) -> BackendContext:
    """Return what the backend is opened with. Raises ConfigError if there is no state directory."""
    return BackendContext(ifname=config.wg_dev_name, state_dir=config.state_path(), netns=config.netns or None)


def local_node(config: Config) -> LocalNode:
    """Return what the claim must know of the configuration."""
    return LocalNode(
        name=node_name(config),
        ifname=config.wg_dev_name,
        mesh=config.mesh,
        subnet_prefix=config.subnet_prefix,
        bucket=config.nats_kv,
        address=None if config.subnet is None else config.private_address,
        listen_port=config.wg_port,
        endpoints=config.advertised_endpoints,
        lease_s=config.lease_s,
        ipam=config.ipam,
        reserved=config.reserved,
        fwmark=config.fwmark,
        mtu=config.device_mtu,
        keep_foreign_peers=config.keep_foreign_peers,
        require_proof=config.record_trust != "any",
        authority=Authority.of(config.record_trust),
        user=node_user(config),
    )


def node_user(config: Config) -> NodeUser | None:
    """Return the NATS user that shows the right to this node's record; None: there is none, and none is needed."""
    authority = Authority.of(config.record_trust)
    return NodeUser(config.nats_creds, config.nats_kv, authority) if config.nats_creds or authority else None


def nats_settings(config: Config, name: str) -> NatsSettings:
    """Return where NATS is and how to log in; answers go to an inbox of the node's own."""
    return NatsSettings(
        servers=tuple(config.nats_servers),
        name=f"ikto {name}",
        inbox=inbox_of_node(name),
        api_prefix=api_prefix(config.nats_domain, config.nats_api_prefix),
        user=config.nats_user,
        password=config.nats_password,
        token=config.nats_token,
        nkey_seed=config.nats_nkey_seed,
        creds=config.nats_creds,
        mesh=config.mesh,
        tls_first=config.nats_tls_first,
        tls_ca=config.nats_tls_ca,
        tls_cert=config.nats_tls_cert,
        tls_key=config.nats_tls_key,
    )


def observer_context(config: Config) -> ObserverContext:
    """Return what every observer is opened with; its argument is added for each."""
    return ObserverContext(
        argument="",
        ifname=config.wg_dev_name,
        mesh_cidr=config.mesh_cidr,
        name=node_name(config),
        state_dir=config.state_path(),
        nats_hosts=tuple(urlsplit(server).hostname or "" for server in config.nats_servers),
    )
