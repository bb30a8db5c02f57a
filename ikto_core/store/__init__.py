"""NATS: sessions and the connection that renews them, the bucket, and the follower that keeps a table equal to it.

It must never know what a record means or how a device is driven.
"""
