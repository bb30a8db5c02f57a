"""WireGuard devices of Linux, for backends: their links, `wg show dump`, programs with hints, and one worker thread.

It must never know which backend uses it. Authors import its names from `ikto_core.plugins`.
"""
