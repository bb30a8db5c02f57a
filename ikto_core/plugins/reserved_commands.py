"""Ikto's built-in commands, each with its import path and help line. Plugins can't use these names."""

COMMANDS = {
    "init": ("ikto_core.cli.init:init", "Print a configuration with a random private address."),
    "config": ("ikto_core.cli.config:config", "Check a configuration, or describe its settings."),
    "key": ("ikto_core.cli.key:key", "Make a private key, show its public key, or rotate an agent's key."),
    "bucket": ("ikto_core.cli.bucket:bucket", "Create, show or upgrade the mesh's bucket."),
    "agent": ("ikto_core.cli.agent:agent", "Join the mesh: claim a subnet and keep the WireGuard device in sync."),
    "info": ("ikto_core.cli.info:info", "Show this host's record and its peers."),
    "status": ("ikto_core.cli.status:status", "Show the agent's status."),
    "peers": ("ikto_core.cli.peers:peers", "List the peers, and apply pending removals."),
    "plugins": ("ikto_core.cli.plugins:plugins", "List installed plugins, and why some can't be used."),
    "demo": ("ikto_core.cli.demo:demo", "Watch a mesh form on this machine."),
}
"""By command name: the import path, `module:attribute`, and the help line."""
