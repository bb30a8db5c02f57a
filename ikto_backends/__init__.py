"""WireGuard backends that come with Ikto; each is a plugin, none is imported by the core."""
