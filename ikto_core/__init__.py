"""Ikto: a WireGuard mesh builder on NATS JetStream."""

__version__ = "0.4.0"
