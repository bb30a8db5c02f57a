"""Public API for plugin authors, and the plugin loader. No other package uses pluggy's plugin manager.

This package must not know which plugins exist. Its public names are imported on first use, so that `ikto --help` starts
fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ikto_core.device.backend import (
        Backend,
        BackendContext,
        BackendPlugin,
        DeviceEvent,
        DeviceEventKind,
        PeerReader,
    )
    from ikto_core.device.diff import patched, patched_device
    from ikto_core.device.model import (
        NO_PRESHARED_KEY,
        DevicePatch,
        DeviceState,
        Interface,
        PeerPatch,
        PeerState,
    )
    from ikto_core.disk.atomic_file import replace_file, sync_directory
    from ikto_core.errors import (
        AddressInUseError,
        BackendError,
        BucketMissingError,
        ConfigError,
        IktoError,
        NatsDeniedError,
        NatsError,
        NoSuchDeviceError,
        PluginError,
        RevisionConflictError,
        WriteUnknownError,
    )
    from ikto_core.ipam.contract import (
        IpamPlugin,
        IpamRequest,
        IpamStrategy,
    )
    from ikto_core.ipam.space import Run, Space
    from ikto_core.linux.directory_lock import locked_directory
    from ikto_core.linux.dump import (
        parse_dump,
    )
    from ikto_core.linux.limits import check_patch
    from ikto_core.linux.link import (
        LinkState,
        check_ifname,
    )
    from ikto_core.linux.programs import (
        run_program,
    )
    from ikto_core.linux.sections import (
        endpoint_text,
        peer_section,
    )
    from ikto_core.linux.wireguard import (
        create_wireguard,
        delete_wireguard,
        find_wireguard,
        has_wireguard,
        read_wireguard,
        read_wireguard_peers,
        watch_links,
        write_link,
    )
    from ikto_core.linux.worker import (
        Worker,
        open_worker,
    )
    from ikto_core.observers.contract import (
        MeshEvent,
        MeshReady,
        Observer,
        ObserverContext,
        ObserverPlugin,
        PeerAccepted,
        PeerChanged,
        PeerFacts,
        PeerRemoved,
        QuarantineEnded,
        RecordQuarantined,
        Resync,
    )
    from ikto_core.observers.replay import Replay
    from ikto_core.plugins.check_contract import (
        CheckContext,
        CheckPlugin,
        Finding,
        Level,
    )
    from ikto_core.plugins.facade import Plugins
    from ikto_core.plugins.hookspecs import hookimpl
    from ikto_core.plugins.kinds import CommandPlugin
    from ikto_core.plugins.loading import load_plugins
    from ikto_core.plugins.offers import PluginStatus
    from ikto_core.plugins.settings import with_settings
    from ikto_core.values.addressing import (
        Endpoint,
        Prefix,
        normalise_host,
        parse_address,
    )
    from ikto_core.values.keys import (
        Key,
        PresharedKey,
        PrivateKey,
        PublicKey,
        SecretKey,
    )

__all__ = [
    "NO_PRESHARED_KEY",
    "AddressInUseError",
    "Backend",
    "BackendContext",
    "BackendError",
    "BackendPlugin",
    "BucketMissingError",
    "CheckContext",
    "CheckPlugin",
    "CommandPlugin",
    "ConfigError",
    "DeviceEvent",
    "DeviceEventKind",
    "DevicePatch",
    "DeviceState",
    "Endpoint",
    "Finding",
    "IktoError",
    "Interface",
    "IpamPlugin",
    "IpamRequest",
    "IpamStrategy",
    "Key",
    "Level",
    "LinkState",
    "MeshEvent",
    "MeshReady",
    "NatsDeniedError",
    "NatsError",
    "NoSuchDeviceError",
    "Observer",
    "ObserverContext",
    "ObserverPlugin",
    "PeerAccepted",
    "PeerChanged",
    "PeerFacts",
    "PeerPatch",
    "PeerReader",
    "PeerRemoved",
    "PeerState",
    "PluginError",
    "PluginStatus",
    "Plugins",
    "Prefix",
    "PresharedKey",
    "PrivateKey",
    "PublicKey",
    "QuarantineEnded",
    "RecordQuarantined",
    "Replay",
    "Resync",
    "RevisionConflictError",
    "Run",
    "SecretKey",
    "Space",
    "Worker",
    "WriteUnknownError",
    "check_ifname",
    "check_patch",
    "create_wireguard",
    "delete_wireguard",
    "endpoint_text",
    "find_wireguard",
    "has_wireguard",
    "hookimpl",
    "load_plugins",
    "locked_directory",
    "normalise_host",
    "open_worker",
    "parse_address",
    "parse_dump",
    "patched",
    "patched_device",
    "peer_section",
    "read_wireguard",
    "read_wireguard_peers",
    "replace_file",
    "run_program",
    "sync_directory",
    "watch_links",
    "with_settings",
    "write_link",
]

_DEFINED_IN = {
    "NO_PRESHARED_KEY": "ikto_core.device.model",
    "AddressInUseError": "ikto_core.errors",
    "Backend": "ikto_core.device.backend",
    "BackendContext": "ikto_core.device.backend",
    "BackendError": "ikto_core.errors",
    "BackendPlugin": "ikto_core.device.backend",
    "BucketMissingError": "ikto_core.errors",
    "CheckContext": "ikto_core.plugins.check_contract",
    "CheckPlugin": "ikto_core.plugins.check_contract",
    "CommandPlugin": "ikto_core.plugins.kinds",
    "ConfigError": "ikto_core.errors",
    "DeviceEvent": "ikto_core.device.backend",
    "DeviceEventKind": "ikto_core.device.backend",
    "DevicePatch": "ikto_core.device.model",
    "DeviceState": "ikto_core.device.model",
    "Endpoint": "ikto_core.values.addressing",
    "Finding": "ikto_core.plugins.check_contract",
    "IktoError": "ikto_core.errors",
    "Interface": "ikto_core.device.model",
    "IpamPlugin": "ikto_core.ipam.contract",
    "IpamRequest": "ikto_core.ipam.contract",
    "IpamStrategy": "ikto_core.ipam.contract",
    "Key": "ikto_core.values.keys",
    "Level": "ikto_core.plugins.check_contract",
    "LinkState": "ikto_core.linux.link",
    "MeshEvent": "ikto_core.observers.contract",
    "MeshReady": "ikto_core.observers.contract",
    "NatsDeniedError": "ikto_core.errors",
    "NatsError": "ikto_core.errors",
    "NoSuchDeviceError": "ikto_core.errors",
    "Observer": "ikto_core.observers.contract",
    "ObserverContext": "ikto_core.observers.contract",
    "ObserverPlugin": "ikto_core.observers.contract",
    "PeerAccepted": "ikto_core.observers.contract",
    "PeerChanged": "ikto_core.observers.contract",
    "PeerFacts": "ikto_core.observers.contract",
    "PeerPatch": "ikto_core.device.model",
    "PeerReader": "ikto_core.device.backend",
    "PeerRemoved": "ikto_core.observers.contract",
    "PeerState": "ikto_core.device.model",
    "PluginError": "ikto_core.errors",
    "PluginStatus": "ikto_core.plugins.offers",
    "Plugins": "ikto_core.plugins.facade",
    "Prefix": "ikto_core.values.addressing",
    "PresharedKey": "ikto_core.values.keys",
    "PrivateKey": "ikto_core.values.keys",
    "PublicKey": "ikto_core.values.keys",
    "QuarantineEnded": "ikto_core.observers.contract",
    "RecordQuarantined": "ikto_core.observers.contract",
    "Replay": "ikto_core.observers.replay",
    "Resync": "ikto_core.observers.contract",
    "RevisionConflictError": "ikto_core.errors",
    "Run": "ikto_core.ipam.space",
    "SecretKey": "ikto_core.values.keys",
    "Space": "ikto_core.ipam.space",
    "Worker": "ikto_core.linux.worker",
    "WriteUnknownError": "ikto_core.errors",
    "check_ifname": "ikto_core.linux.link",
    "check_patch": "ikto_core.linux.limits",
    "create_wireguard": "ikto_core.linux.wireguard",
    "delete_wireguard": "ikto_core.linux.wireguard",
    "endpoint_text": "ikto_core.linux.sections",
    "find_wireguard": "ikto_core.linux.wireguard",
    "has_wireguard": "ikto_core.linux.wireguard",
    "hookimpl": "ikto_core.plugins.hookspecs",
    "load_plugins": "ikto_core.plugins.loading",
    "locked_directory": "ikto_core.linux.directory_lock",
    "normalise_host": "ikto_core.values.addressing",
    "open_worker": "ikto_core.linux.worker",
    "parse_address": "ikto_core.values.addressing",
    "parse_dump": "ikto_core.linux.dump",
    "patched": "ikto_core.device.diff",
    "patched_device": "ikto_core.device.diff",
    "peer_section": "ikto_core.linux.sections",
    "read_wireguard": "ikto_core.linux.wireguard",
    "read_wireguard_peers": "ikto_core.linux.wireguard",
    "replace_file": "ikto_core.disk.atomic_file",
    "run_program": "ikto_core.linux.programs",
    "sync_directory": "ikto_core.disk.atomic_file",
    "watch_links": "ikto_core.linux.wireguard",
    "with_settings": "ikto_core.plugins.settings",
    "write_link": "ikto_core.linux.wireguard",
}
"""The module that defines each public name."""

if not TYPE_CHECKING:  # a type checker must report misspelt names

    def __getattr__(name: str) -> object:
        """Import a public name from its module on first use (PEP 562)."""
        if name not in _DEFINED_IN:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_DEFINED_IN[name]), name)
        return value
