"""The demo: a mesh of real processes on this machine, and a screen to watch it on."""
