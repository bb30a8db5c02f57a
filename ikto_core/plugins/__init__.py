"""Public API for plugin authors, and the plugin loader. No other package uses pluggy's plugin manager.

This package must not know which plugins exist. Its public names are imported on first use, so that `ikto --help` starts
fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ikto_core.deprecations import deprecated, warn

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
    from ikto_core.device.model import NO_PRESHARED_KEY, DevicePatch, DeviceState, Interface, PeerPatch, PeerState
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
    from ikto_core.ipam.contract import IpamPlugin, IpamRequest, IpamStrategy
    from ikto_core.ipam.space import Run, Space
    from ikto_core.linux.directory_lock import locked_directory
    from ikto_core.linux.dump import parse_dump
    from ikto_core.linux.limits import check_patch
    from ikto_core.linux.link import LinkState, check_ifname
    from ikto_core.linux.programs import run_program
    from ikto_core.linux.sections import endpoint_text, peer_section
    from ikto_core.linux.wireguard import (
        create_wireguard,
        delete_wireguard,
        find_wireguard,
        has_wireguard,
        read_wireguard,
        read_wireguard_peers,
        watch_links,
        wireguard_keys,
        write_link,
    )
    from ikto_core.linux.worker import Worker, open_worker
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
    from ikto_core.plugins.check_contract import CheckContext, CheckPlugin, Finding, Level
    from ikto_core.plugins.facade import Plugins
    from ikto_core.plugins.hookspecs import hookimpl
    from ikto_core.plugins.kinds import CommandPlugin
    from ikto_core.plugins.loading import load_plugins
    from ikto_core.plugins.offers import PluginStatus
    from ikto_core.plugins.settings import with_settings
    from ikto_core.values.addressing import Endpoint, Prefix, normalise_host, parse_address
    from ikto_core.values.keys import Key, PresharedKey, PrivateKey, PublicKey, SecretKey

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
    "wireguard_keys",
    "with_settings",
    "write_link",
]

_DEFINED_IN = {
    name: module
    for module, names in {
        "ikto_core.device.backend": "Backend BackendContext BackendPlugin DeviceEvent DeviceEventKind PeerReader",
        "ikto_core.device.diff": "patched patched_device",
        "ikto_core.device.model": "NO_PRESHARED_KEY DevicePatch DeviceState Interface PeerPatch PeerState",
        "ikto_core.disk.atomic_file": "replace_file sync_directory",
        "ikto_core.errors": (
            "AddressInUseError BackendError BucketMissingError ConfigError IktoError NatsDeniedError "
            "NatsError NoSuchDeviceError PluginError RevisionConflictError WriteUnknownError"
        ),
        "ikto_core.ipam.contract": "IpamPlugin IpamRequest IpamStrategy",
        "ikto_core.ipam.space": "Run Space",
        "ikto_core.linux.directory_lock": "locked_directory",
        "ikto_core.linux.dump": "parse_dump",
        "ikto_core.linux.limits": "check_patch",
        "ikto_core.linux.link": "LinkState check_ifname",
        "ikto_core.linux.programs": "run_program",
        "ikto_core.linux.sections": "endpoint_text peer_section",
        "ikto_core.linux.wireguard": (
            "create_wireguard delete_wireguard find_wireguard has_wireguard read_wireguard "
            "read_wireguard_peers watch_links wireguard_keys write_link"
        ),
        "ikto_core.linux.worker": "Worker open_worker",
        "ikto_core.observers.contract": (
            "MeshEvent MeshReady Observer ObserverContext ObserverPlugin PeerAccepted PeerChanged "
            "PeerFacts PeerRemoved QuarantineEnded RecordQuarantined Resync"
        ),
        "ikto_core.observers.replay": "Replay",
        "ikto_core.plugins.check_contract": "CheckContext CheckPlugin Finding Level",
        "ikto_core.plugins.facade": "Plugins",
        "ikto_core.plugins.hookspecs": "hookimpl",
        "ikto_core.plugins.kinds": "CommandPlugin",
        "ikto_core.plugins.loading": "load_plugins",
        "ikto_core.plugins.offers": "PluginStatus",
        "ikto_core.plugins.settings": "with_settings",
        "ikto_core.values.addressing": "Endpoint Prefix normalise_host parse_address",
        "ikto_core.values.keys": "Key PresharedKey PrivateKey PublicKey SecretKey",
    }.items()
    for name in names.split()
}
"""The module that defines each public name."""

_DEPRECATED: dict[str, tuple[str, str]] = {}
"""Public names that are to be removed: the minor version that announced it, and what to do instead."""

if not TYPE_CHECKING:  # a type checker must report misspelt names

    def __getattr__(name: str) -> object:
        """Import a public name from its module on first use (PEP 562). Each use of a deprecated one is a warning."""
        if name not in _DEFINED_IN:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_DEFINED_IN[name]), name)
        if name in _DEPRECATED:
            since, instead = _DEPRECATED[name]
            warn(deprecated(f"`{name}` of {__name__}", since=since, instead=instead))
        else:
            globals()[name] = value  # a deprecated name is looked up each time, so that every plugin is warned
        return value
