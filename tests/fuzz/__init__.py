"""A fuzzer for what Ikto reads from others: mutated inputs of a kept corpus, the same ones for the same seed.

`make fuzz` runs it. A target is one kind of input, with the code that reads it and the errors that this code may raise.
"""
