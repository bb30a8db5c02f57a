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
    from ikto_core.device.diff import patched
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
    "WriteUnknownError",
    "hookimpl",
    "load_plugins",
    "normalise_host",
    "parse_address",
    "patched",
    "replace_file",
    "sync_directory",
    "with_settings",
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
    "WriteUnknownError": "ikto_core.errors",
    "hookimpl": "ikto_core.plugins.hookspecs",
    "load_plugins": "ikto_core.plugins.loading",
    "normalise_host": "ikto_core.values.addressing",
    "parse_address": "ikto_core.values.addressing",
    "patched": "ikto_core.device.diff",
    "replace_file": "ikto_core.disk.atomic_file",
    "sync_directory": "ikto_core.disk.atomic_file",
    "with_settings": "ikto_core.plugins.settings",
}
"""The module that defines each public name."""

if not TYPE_CHECKING:  # a type checker must report misspelt names

    def __getattr__(name: str) -> object:
        """Import a public name from its module on first use (PEP 562)."""
        if name not in _DEFINED_IN:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_DEFINED_IN[name]), name)
        return value
