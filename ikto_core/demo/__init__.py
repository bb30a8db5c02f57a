"""The demo: a mesh of real processes on this machine, and the tables that show it.

It must never be needed by an agent.
"""
