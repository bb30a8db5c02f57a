"""Benchmarks: Ikto next to a reference, measured in one run and compared as ratios."""
