"""The WireGuard backends that ship with Ikto. Each is a plugin; the core imports none of them."""
