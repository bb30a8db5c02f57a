"""Plugins: loaded one by one, each asked once. Nothing else touches pluggy's manager."""

from ikto_core.plugins.facade import Plugins, PluginStatus
from ikto_core.plugins.kinds import CommandPlugin
from ikto_core.plugins.loading import load_plugins

__all__ = ["CommandPlugin", "PluginStatus", "Plugins", "load_plugins"]
