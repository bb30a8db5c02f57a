"""This node's subnet: choose it, claim it in the bucket, and guard the claim.

It must never write another node's record, nor know how a device is driven.
"""
