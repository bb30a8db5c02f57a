"""The `ikto` program: one file per command, and the options, tables and error output that the commands share.

It reads configuration and prints results. It must never decide anything about a mesh or a device.
"""
