"""The agent's own HTTP/JSON interface on a unix socket."""
