"""Set-up of logging: to stderr, as text or JSON."""

import logging
import os
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog

from ikto_core.cli.log_hints import with_hint
from ikto_core.cli.log_repeats import RepeatFilter

NOTHING = "critical"  # no event of ours has this level


class SafeStream:
    """Writes text to a stream, and loses what can't be written: no log line is worth the end of an agent."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream  # None: it is closed

    def write(self, text: str) -> int:
        """Write the text if that is possible; a closed pipe or a full disk raises nothing."""
        with suppress(OSError, ValueError):
            if self._stream:
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream if that is possible."""
        with suppress(OSError, ValueError):
            if self._stream:
                self._stream.flush()


def log_to_stderr(level: str, *, as_json: bool) -> None:
    """Write the log of this process to stderr, from `level` (a log level, or NOTHING) on."""
    stream = SafeStream(sys.stderr)
    on_terminal = sys.stderr is not None and sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=on_terminal)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            RepeatFilter(),
            with_hint,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", stream)),
    )
    logging.basicConfig(level=logging.ERROR, stream=stream)  # for libraries, which don't use structlog
    logging.getLogger("nats").setLevel(logging.CRITICAL)  # it also reports these errors to its callbacks
