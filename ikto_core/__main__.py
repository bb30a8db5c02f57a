"""`python -m ikto_core` is `ikto`."""

from ikto_core.cli.main import main

main()
