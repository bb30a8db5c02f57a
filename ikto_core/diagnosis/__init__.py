"""Say what is wrong with a node or on the way to a peer, and what to do about it.

This package looks and judges. It must never change a device, a bucket or a file, and nothing that an agent does may
depend on it.
"""
