"""Files of the state directory: keys, claims and the mesh snapshot, written atomically.

It must never decide what to do with what it reads.
"""
