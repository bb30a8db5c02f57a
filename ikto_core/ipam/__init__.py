"""IP address management: the contract of strategies that propose subnets, and the arithmetic of free subnets.

This package must not know which strategies exist, nor anything of NATS or devices.
"""
