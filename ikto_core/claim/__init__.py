"""Our own subnet: choosing it, claiming it in the bucket, and keeping the claim.

It must never write a record of another node, and never know how the device is driven.
"""
