"""The admin interface: HTTP and JSON on the agent's unix socket.

This package must not know how the agent works; it serves an `AgentInterface`.
"""
