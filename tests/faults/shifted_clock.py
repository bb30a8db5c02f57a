"""`ikto`, on a host whose wall clock is off by as many seconds as the file in the first argument says, at any moment.

A time namespace of Linux shifts the monotonic clock only, and to set the real one would harm the whole machine.
"""

import sys
import time
from pathlib import Path

from ikto_core.cli.main import main

_true_time = time.time


def shift(file: Path) -> None:
    """Have `time.time()` be off by what the file says, at each call."""
    time.time = lambda: _true_time() + float(file.read_text())


if __name__ == "__main__":
    shift(Path(sys.argv.pop(1)))
    main()
