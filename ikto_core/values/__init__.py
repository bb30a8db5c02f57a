"""Small frozen values: addresses, keys, counters. They must never do I/O or know what a mesh is."""
