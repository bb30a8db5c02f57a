"""The fleet bench: a hundred to a thousand agents on one bucket, beside other followers of it (docs/scaling.md)."""
