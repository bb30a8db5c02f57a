"""The whole mesh as its nodes report it: what a node answers, who asks, and the matrix of what both sides say.

It must never believe a node about another one, and never tell more than a reader of the bucket may know, but health.
"""
