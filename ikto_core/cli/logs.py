"""Set-up of logging: to stderr, as text or JSON."""

import logging
import sys

import structlog

LEVELS = ("debug", "info", "warning", "error")


def log_to_stderr(level: str, *, as_json: bool) -> None:
    """Write the log of this process to stderr, from `level` (one of LEVELS) on."""
    on_terminal = sys.stderr.isatty()
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=on_terminal)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)  # for libraries, which don't use structlog
    logging.getLogger("nats").setLevel(logging.CRITICAL)  # it also reports these errors to its callbacks
