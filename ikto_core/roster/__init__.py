"""The nodes of a mesh as its bucket has them, for an operator without an agent: list them, and take one out.

It must never judge a record itself: what counts is decided in mesh/, as for agents.
"""
