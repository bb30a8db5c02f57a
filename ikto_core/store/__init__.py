"""NATS: one session after another, the bucket, and the follower that keeps a table equal to it.

It must never know what a record means, nor that a device exists.
"""
