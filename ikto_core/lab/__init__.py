"""Servers, agents and networks as processes, for the demo, tests and benchmarks.

It must never be imported by the agent, which must run without nats-server and network namespaces.
"""
