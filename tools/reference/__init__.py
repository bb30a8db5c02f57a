"""Generate the reference of the public API by parsing the source, without importing it."""
