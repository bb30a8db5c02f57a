"""This node as its configuration describes it: its mesh, the subnet it asks for, its record and its device. Pure."""

from collections.abc import Sequence
from ipaddress import ip_interface

import msgspec

from ikto_core import __version__
from ikto_core.claim.node_user import NodeUser
from ikto_core.claim.policy import Identity
from ikto_core.device.model import DeviceSpec
from ikto_core.disk.state_file import Claim
from ikto_core.mesh.records import PeerRecord, record_key
from ikto_core.mesh.rights import Authority
from ikto_core.mesh.settings import MeshSettings
from ikto_core.mesh.view import MeshRules
from ikto_core.values.addressing import Endpoint, Prefix, format_address, parse_address
from ikto_core.values.keys import PrivateKey, PublicKey


class LocalNode(msgspec.Struct, frozen=True, kw_only=True):
    """What the claim must know of the configuration, and nothing else."""

    name: str
    ifname: str  # of the WireGuard device
    mesh: Prefix
    subnet_prefix: int  # length of every node's subnet
    bucket: str
    address: str | None = None  # the configured private address; None: "auto"
    listen_port: int = 51820
    endpoints: tuple[Endpoint, ...] = ()  # to advertise, best first; empty: the advertised addresses and listen_port
    lease_s: int = 0  # seconds that the record outlives an unreachable node; 0: for ever
    ipam: str = "random"  # name of the strategy, for messages
    reserved: frozenset[Prefix] = frozenset()  # networks in which no subnet may be proposed
    fwmark: int = 0  # 0: off
    mtu: int | None = None  # bytes; None: found at run time
    keep_foreign_peers: bool = False
    require_proof: bool = False  # accept only records with a proof
    authority: Authority | None = None  # whose users have a right to records; None: records need no right
    user: NodeUser | None = None  # shows this node's own right; None: it has no creds file

    @property
    def settings(self) -> MeshSettings:
        """The mesh's settings as this node expects them."""
        return MeshSettings(str(self.mesh), self.subnet_prefix)

    def rules(self, public_key: PublicKey) -> MeshRules:
        """Return the rules that records are judged by while this node has no subnet."""
        return MeshRules(
            cidr=self.mesh,
            subnet_prefix=self.subnet_prefix,
            own_key=public_key,
            require_proof=self.require_proof,
        )

    def subnet_of(self, address: str) -> Prefix:
        """Return the canonical subnet around a private address."""
        return Prefix.of(parse_address(address), self.subnet_prefix)

    @property
    def kv_key(self) -> str | None:
        """The KV key of the record; None: the subnet is not configured."""
        return record_key(str(self.subnet_of(self.address))) if self.address else None

    def claim(self, public_key: PublicKey, address: str) -> Claim:
        """Return what the state file keeps once the subnet around `address` is claimed."""
        return Claim(
            private_address=address,
            mesh_cidr=str(self.mesh),
            subnet_prefix=self.subnet_prefix,
            public_key=public_key.text,
            bucket=self.bucket,
        )

    def record(self, identity: Identity, address: str, advertised: Sequence[str]) -> PeerRecord:
        """Return the record that claims the subnet around `address`, without a nonce; `advertised` as in `moved`."""
        return PeerRecord(
            name=self.name,
            public_key=identity.public_key,
            advertise_address=advertised[0],
            allowed_ip=str(self.subnet_of(address)),
            wg_port=self.listen_port,
            endpoints=self._endpoints(advertised),
            instance=identity.instance,
            agent=f"ikto {__version__}",
            next_public_key=identity.next_key,
            lease=self.lease_s,
            address=format_address(parse_address(address)),
            user_jwt=self.user.jwt if self.user else "",
        )

    def moved(self, record: PeerRecord, advertised: Sequence[str]) -> PeerRecord:
        """Return the record with other addresses of this host (IP literals), best first, at least one.

        Ikto 0.3.0 reads only `advertise_address`, which is the best one. Unless `endpoints` are configured, they are
        there only if there is a second address to name.
        """
        return msgspec.structs.replace(record, advertise_address=advertised[0], endpoints=self._endpoints(advertised))

    def _endpoints(self, advertised: Sequence[str]) -> tuple[Endpoint, ...]:
        found = tuple(Endpoint(address, self.listen_port) for address in advertised)
        return self.endpoints or (found if len(found) > 1 else ())

    def device(self, private_key: PrivateKey, address: str | None) -> DeviceSpec:
        """Return the desired device without peers; `address` None: no subnet is claimed, so it has no address."""
        interfaces = {ip_interface(f"{address}/{self.mesh.length}")} if address else set()
        return DeviceSpec(
            private_key=private_key,
            listen_port=self.listen_port,
            addresses=frozenset(interfaces),
            peers={},
            fwmark=self.fwmark,
            mtu=self.mtu,
            keep_foreign_peers=self.keep_foreign_peers,
        )
