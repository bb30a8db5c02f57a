"""What a bucket means: records, the view folded from them, and the mesh's own settings.

Pure. It must never know how a bucket is read or how a device is written.
"""
