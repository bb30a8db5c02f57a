"""The contents of a bucket: peer records, the mesh's own settings, and the view of the mesh built from them.

Pure modules: they know nothing about how a bucket is read or how a device is written.
"""
