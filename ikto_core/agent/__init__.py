"""The agent: puts the rooms together, and is the only place that starts tasks.

It must never hold a decision that a pure room could make.
"""
