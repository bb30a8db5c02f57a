"""Leases: the policy, the renewer of our own, and the reaper of expired records.

It must never touch a record without a lease.
"""
