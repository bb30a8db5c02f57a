"""The reference of the public API, from its source: nothing of it is imported, so nothing hides behind a default."""
