"""The network around the host: paths, addresses and MTU outside the mesh.

It must never know peers' records or the device's contents.
"""
