"""Servers, agents and networks as processes, for the demo, tests and benchmarks.

The agent must never import it.
"""
