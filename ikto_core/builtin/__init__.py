"""Built-in IPAM strategies and observers, written as third-party plugins.

Modules here must not import anything of `ikto_core` but `ikto_core.plugins`.
"""
