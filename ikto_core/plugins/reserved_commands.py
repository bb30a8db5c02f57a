"""Ikto's own commands: where each is, and its line of help. A plugin's command can't have one of these names."""

COMMANDS = {
    "init": ("ikto_core.cli.init:init", "Print a configuration with a random private address."),
    "config": ("ikto_core.cli.config:config", "Check a configuration, or describe its members."),
    "key": ("ikto_core.cli.key:key", "Make a private key, show its public one, or rotate an agent's."),
    "bucket": ("ikto_core.cli.bucket:bucket", "Create, show or upgrade the mesh's bucket."),
    "agent": ("ikto_core.cli.agent:agent", "Take part in the mesh: claim, follow, keep the device equal."),
    "info": ("ikto_core.cli.info:info", "Show this host's record and its peers."),
    "status": ("ikto_core.cli.status:status", "Show what the agent sees and does."),
    "peers": ("ikto_core.cli.peers:peers", "List the peers, and let removals go that are held back."),
    "plugins": ("ikto_core.cli.plugins:plugins", "List what plugins bring, and what is wrong with them."),
    "demo": ("ikto_core.cli.demo:demo", "Watch a mesh form on this machine."),
}
"""Each command's place, `module:attribute`, and its line of help."""
