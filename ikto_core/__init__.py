"""Ikto builds a WireGuard mesh, with NATS JetStream as the registry of peers."""

__version__ = "0.4.0"
