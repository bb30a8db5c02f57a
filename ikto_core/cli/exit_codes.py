"""Exit codes that are no error's: what a command found. docs/operations.md lists all codes."""

TIMED_OUT = 24
"""`ikto wait`: what was waited for has not happened in time."""

STARTING = 25
"""`ikto status`: the agent runs, and its device does not show the mesh yet."""

DEGRADED = 26
"""`ikto status`: the agent runs, and something is wrong with it."""
