"""An IPAM strategy as its author writes it, and the loader of plugins as an orchestrator uses it."""

from collections.abc import Iterable, Iterator
from random import Random
from typing import assert_type

from ikto_core.plugins import (
    BackendPlugin,
    IpamPlugin,
    IpamRequest,
    IpamStrategy,
    Plugins,
    PluginStatus,
    Prefix,
    PublicKey,
    hookimpl,
    load_plugins,
)


class MyStrategy:
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        assert_type(request.mesh_cidr, Prefix)
        assert_type(request.subnet_prefix, int)
        assert_type(request.public_key, PublicKey)
        assert_type(request.name, str)
        assert_type(request.taken, frozenset[Prefix])
        assert_type(request.random, Random)
        yield request.mesh_cidr


@hookimpl
def ikto_register_ipam_strategies() -> Iterable[IpamPlugin]:
    return (IpamPlugin(name="mine", summary="my own rules", make=MyStrategy),)


def load() -> None:
    plugins = load_plugins()
    assert_type(plugins, Plugins)
    assert_type(plugins.backend("mine"), BackendPlugin)
    assert_type(plugins.ipam("mine").make(), IpamStrategy)
    assert_type(plugins.listing(), tuple[PluginStatus, ...])
