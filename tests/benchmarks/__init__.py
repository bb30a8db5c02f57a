"""Tests of benchmarks/: what they compute and draw, and that they still run."""
