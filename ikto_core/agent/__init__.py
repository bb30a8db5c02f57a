"""The agent puts the rooms together; it is the only place that starts tasks.

It must never make a decision that a pure room could make.
"""
