"""Standard output that can't be written: its reader has seen enough, or there is no room."""

import select
from errno import EPIPE

from ikto_core.cli.exit_codes import READER_GONE
from ikto_core.errors import IktoError


class ReaderGoneError(IktoError):
    """The reader has closed the pipe, as in `ikto doctor | head -1`. There is nothing to report."""

    exit_code = READER_GONE


def reader_is_gone() -> bool:
    """Return whether standard output or standard error is a pipe that nobody reads."""
    watched = select.poll()
    for number in (1, 2):
        watched.register(number, 0)
    return any(found & select.POLLERR for _, found in watched.poll(0))


def output_error(error: OSError) -> IktoError:
    """Return a failed write as an error for the operator."""
    if error.errno == EPIPE and reader_is_gone():
        return ReaderGoneError("the reader of standard output is gone")
    return IktoError(f"standard output can't be written: {error.strerror}")
