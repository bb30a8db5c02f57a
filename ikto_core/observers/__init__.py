"""Observers: who is told what happens in the mesh. `contract` is all that a plugin needs of it."""
