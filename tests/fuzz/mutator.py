"""Makes inputs from those of a corpus: changes of bytes, words, numbers, lines and JSON members."""

import re
from collections.abc import Callable, Sequence
from random import Random

from tests.fuzz.json_edits import edited_json

MAX_INPUT_BYTES = 2**16

WORDS = (
    *(b"\0", b"\r\n", b"\n", b"\t", b" ", b",", b":", b"%", b"/", b"\\", b'"', b"{}", b"[]", b"[[", b"{", b"-", b"="),
    *(b"\x1b[2J", b"\x7f", b"\x85"),
    *(b"\xff", b"\xc0\x80", b"\xed\xa0\x80", "ü".encode(), "\u0663".encode(), "\u2028".encode(), "\U0001f512".encode()),
    *(b"0.0.0.0", b"::", b"::ffff:192.0.2.1", b"fe80::1%eth0", b"255.255.255.255/33", b"[::1]:0", b"192.0.2.1:65536"),
    *(b"true", b"null", b"NaN", b"1e999", b"0x", b"(none)", b"off", b"../../etc/passwd", b"AAAA"),
)  # fmt: skip
NUMBERS = (
    *(b"0", b"-1", b"1", b"007", b"127", b"255", b"256", b"65535", b"65536", b"2147483648", b"4294967296", b"1.5"),
    *(b"9223372036854775807", b"9223372036854775808", b"18446744073709551615", b"9" * 40, b"9" * 400, b"9" * 5000),
)
_NUMBER = re.compile(rb"\d+")
_INTERESTING_BYTES = (0, 1, 4, 7, 8, 10, 13, 32, 34, 127, 128, 192, 254, 255)


class Mutator:
    """An endless source of inputs. The same corpus, words and random source give the same inputs."""

    def __init__(self, corpus: Sequence[bytes], words: Sequence[bytes], random: Random) -> None:
        self._corpus = corpus
        self._words = (*words, *words, *WORDS)
        self._random = random
        self._changes: tuple[Callable[[bytes], bytes], ...] = (
            self._flip_bit,
            self._set_byte,
            self._set_random_bytes,
            self._insert_word,
            self._insert_word,
            self._replace_number,
            self._replace_number,
            self._delete,
            self._repeat,
            self._splice,
            self._cut,
            self._move_line,
        )

    def next(self) -> bytes:
        """Return the next input, at most MAX_INPUT_BYTES long."""
        data = self._random.choice(self._corpus)
        while True:
            change = self._edit_json if self._random.random() < 0.4 else self._random.choice(self._changes)
            data = change(data)[:MAX_INPUT_BYTES]
            if self._random.random() < 0.5:
                return data

    def _position(self, data: bytes) -> int:
        return self._random.randrange(len(data) + 1)

    def _span(self, data: bytes) -> tuple[int, int]:
        """Return two positions, mostly close to each other."""
        start = self._position(data)
        longest = len(data) if self._random.random() < 0.1 else 32
        return start, min(len(data), start + self._random.randrange(1, longest + 2))

    def _flip_bit(self, data: bytes) -> bytes:
        changed = bytearray(data or b"\0")
        changed[self._random.randrange(len(changed))] ^= 1 << self._random.randrange(8)
        return bytes(changed)

    def _set_byte(self, data: bytes) -> bytes:
        at = self._position(data)
        return data[:at] + bytes([self._random.choice(_INTERESTING_BYTES)]) + data[at + 1 :]

    def _set_random_bytes(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + self._random.randbytes(self._random.choice((1, 2, 4, 8, end - start))) + data[end:]

    def _insert_word(self, data: bytes) -> bytes:
        at = self._position(data)
        end = at if self._random.random() < 0.5 else at + self._random.randrange(20)
        return data[:at] + self._random.choice(self._words) + data[end:]

    def _replace_number(self, data: bytes) -> bytes:
        if not (found := _NUMBER.search(data, self._position(data)) or _NUMBER.search(data)):
            return self._insert_word(data)
        return data[: found.start()] + self._random.choice(NUMBERS) + data[found.end() :]

    def _delete(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + data[end:]

    def _repeat(self, data: bytes) -> bytes:
        start, end = self._span(data)
        times = min(self._random.choice((2, 2, 3, 20, 1000, 60000)), MAX_INPUT_BYTES // max(1, end - start))
        return data[:start] + data[start:end] * times + data[start:]

    def _splice(self, data: bytes) -> bytes:
        other = self._random.choice(self._corpus)
        return data[: self._position(data)] + other[self._position(other) :]

    def _cut(self, data: bytes) -> bytes:
        return data[: self._position(data)]

    def _move_line(self, data: bytes) -> bytes:
        """Remove a line, or put one of another input in its place, or both of them."""
        lines = data.split(b"\n")
        at = self._random.randrange(len(lines))
        other = self._random.choice(self._random.choice(self._corpus).split(b"\n"))
        lines[at : at + self._random.randrange(2)] = self._random.choice(([], [other], [other, lines[at]]))
        return b"\n".join(lines)

    def _edit_json(self, data: bytes) -> bytes:
        """Change one of the lines that are JSON; any other input as a whole."""
        lines = data.split(b"\n")
        objects = [number for number, line in enumerate(lines) if line.startswith((b"{", b"["))]
        if not objects:
            return self._random.choice(self._changes)(data)
        at = self._random.choice(objects)
        lines[at] = edited_json(lines[at], self._random) or self._flip_bit(lines[at])
        return b"\n".join(lines)
