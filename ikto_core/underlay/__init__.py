"""The underlay: the network that carries the mesh's packets. Finds the address to advertise and the MTU, probes peers.

It must never know peers' records or the device's contents.
"""
