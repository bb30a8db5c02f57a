"""Files of the state directory: private keys, the saved claim and the mesh snapshot, all written atomically.

It must never decide what to do with what it reads.
"""
