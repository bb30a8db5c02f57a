"""A message as it was received. Its subject, headers and payload may be any bytes; reading them never fails."""

from collections.abc import Mapping

import msgspec

REVISION_HEADER = "Nats-Sequence"
STATUS_LINE = b"NATS/1.0 "
LINE_END = b"\r\n"


class Received(msgspec.Struct, frozen=True):
    """One message, as it was received.

    To the header block of a stored message, whatever its publisher wrote there, the server appends its own headers:
    `Nats-Stream` first, so that only this one may become part of an unfinished line.
    """

    subject: str  # as `escaped` writes it
    data: bytes
    header_block: bytes = b""

    def header(self, name: str) -> str | None:
        """Return the last header of this name, which is the server's; None if there is none."""
        start = self.header_block.rfind(b"\r\n%s:" % name.encode())
        if start < 0:
            return None
        line, _, _ = self.header_block[start + len(LINE_END) :].partition(LINE_END)
        return escaped(line[len(name) + 1 :].strip(b" \t"))

    @property
    def status(self) -> str:
        """The code of a status message of the server, such as the end of a batch; empty for every other message.

        A message with a revision is a stored one, whatever status its publisher wrote into it.
        """
        code = self.header_block[len(STATUS_LINE) : len(STATUS_LINE) + 3]
        is_status = self.header_block.startswith(STATUS_LINE) and len(code) == 3 and code.isdigit()
        return code.decode() if is_status and self.header(REVISION_HEADER) is None else ""

    @property
    def status_text(self) -> str:
        """The server's description of its status."""
        line, _, _ = self.header_block.partition(LINE_END)
        return escaped(line[len(STATUS_LINE) + 3 :].strip(b" \t"))


def header_size(headers: Mapping[str, str]) -> int:
    """Return the size in bytes of the header block of a message that is sent with `headers`; 0 without headers."""
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    return len(f"NATS/1.0\r\n{''.join(lines)}\r\n".encode()) if lines else 0


def escaped(raw: bytes) -> str:
    r"""Return the text, with `\xNN` for each byte that is not UTF-8 and `\\` for a backslash.

    Different bytes give different texts: no key of a bucket can be taken for another.
    """
    return raw.replace(b"\\", b"\\\\").decode(errors="backslashreplace")
