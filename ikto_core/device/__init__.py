"""The WireGuard device: its desired and observed state, the contract of backends, and the reconciler.

Modules here know nothing about NATS, the configuration, or which backend is in use.
"""
