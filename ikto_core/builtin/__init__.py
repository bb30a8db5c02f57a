"""Built-in strategies and observers, written as a third party would write them.

They must never import anything of `ikto_core` but `ikto_core.plugins`.
"""
