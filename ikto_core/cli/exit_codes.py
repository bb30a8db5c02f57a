"""Exit codes that are no error's: what a command found. docs/operations.md lists all codes."""

DIFFERS = 20
"""`ikto diff` and `ikto plan`: there is something to change."""

FAILED_CHECK = 21
"""`ikto doctor`: a check found an error. Warnings alone are 0."""

NOT_REACHABLE = 22
"""`ikto why` and `ikto ping`: the peer is not reachable."""

NOT_KNOWN = 23
"""`ikto why` and `ikto ping`: whether the peer is reachable could not be determined."""

TIMED_OUT = 24
"""`ikto wait`: what was waited for has not happened in time."""

STARTING = 25
"""`ikto status`: the agent runs, and its device does not show the mesh yet."""

DEGRADED = 26
"""`ikto status`: the agent runs, and something is wrong with it."""

READER_GONE = 141
"""Any command: the reader of its output closed the pipe, as `head` does. 128 + SIGPIPE, as shells report it."""
