"""The demo: a mesh of real processes on this machine, and the tables that show it.

Only `ikto demo` imports it. It must never know what an agent does inside: it reads the agents' status.
"""
