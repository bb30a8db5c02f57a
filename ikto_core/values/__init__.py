"""Small frozen values: addresses, keys, counters. Modules here do no I/O and know nothing about a mesh."""
