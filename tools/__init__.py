"""Generators of the documentation parts that come from the source."""
