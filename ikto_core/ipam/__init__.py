"""IPAM: strategies that propose subnets."""
