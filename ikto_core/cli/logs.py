"""Where an agent's log goes, and in what form."""

import logging
import sys

import structlog

LEVELS = ("debug", "info", "warning", "error")


def log_to_stderr(level: str, *, as_json: bool) -> None:
    """Have every log line of this process written to stderr, from `level` (one of LEVELS) on."""
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
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)  # what libraries have to say
    logging.getLogger("nats").setLevel(logging.CRITICAL)  # it logs what it also reports to us
