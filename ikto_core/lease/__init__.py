"""Leases: the policy (when one has expired), the renewer of this node's lease, and the reaper of expired records.

It must never touch a record without a lease.
"""
