"""What a WireGuard device should be, what it is, and the reconciler that writes the difference.

It must never know NATS, the configuration, or which backend is in use.
"""
