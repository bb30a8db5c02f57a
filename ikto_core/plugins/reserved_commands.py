"""Ikto's built-in commands, each with its import path and help line. Plugins can't use these names."""

COMMANDS = {
    "init": ("ikto_core.cli.init:init", "Print a configuration with a random private address."),
    "config": ("ikto_core.cli.config:config", "Check a configuration, or describe its settings."),
    "key": ("ikto_core.cli.key:key", "Make a private key, show its public key, or rotate an agent's key."),
    "bucket": ("ikto_core.cli.bucket:bucket", "Create, show, sweep or upgrade the mesh's bucket."),
    "node": ("ikto_core.cli.node:node", "List the nodes of the mesh, show one, or take one out."),
    "key-of": ("ikto_core.cli.key_of:key_of", "Print the KV key of a subnet, and the subject for permissions."),
    "nats": ("ikto_core.cli.nats:nats", "Print the configuration of the NATS server for the mesh."),
    "agent": ("ikto_core.cli.agent:agent", "Join the mesh: claim a subnet and keep the WireGuard device in sync."),
    "wait": ("ikto_core.cli.wait:wait", "Wait until the node is in the mesh, knows a peer, or shows a revision."),
    "leave": ("ikto_core.cli.leave:leave", "Leave the mesh: withdraw the record, remove the device, end the agent."),
    "down": ("ikto_core.cli.leave:down", "Remove the device and end the agent; record and claim stay."),
    "info": ("ikto_core.cli.info:info", "Show this node's record and its peers' records."),
    "status": ("ikto_core.cli.status:status", "Show the agent's status."),
    "peers": ("ikto_core.cli.peers:peers", "List the peers, and apply pending removals."),
    "why": ("ikto_core.cli.why:why", "Explain why a peer is reachable or not."),
    "ping": ("ikto_core.cli.ping:ping", "Ping a peer over the tunnel and beside it."),
    "mesh": ("ikto_core.cli.mesh:mesh", "Ask every node how it is; show who hears whom."),
    "events": ("ikto_core.cli.events:events", "Show what happened in the mesh, and what happens."),
    "bugreport": ("ikto_core.cli.bugreport:bugreport", "Collect what is needed to understand a node, without secrets."),
    "plugins": ("ikto_core.cli.plugins:plugins", "List installed plugins, and why some can't be used."),
    "demo": ("ikto_core.cli.demo:demo", "Form a mesh on this machine and show its progress."),
}
"""By command name: the import path, `module:attribute`, and the help line."""
