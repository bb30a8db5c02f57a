"""Steady traffic between hosts: `python -m ikto_core.lab.traffic [--once] [--interval SECONDS] [ADDRESS…]`.

It answers every datagram on its port, and asks each address every INTERVAL_S until standard input ends; each line of
standard input is one more address. It prints a JSON array for each question, as soon as it is answered, and at the end
for those without an answer: the address, when it was sent, and when it was answered (null: never), in seconds since
the epoch. With --once an address is asked only until its first answer.
"""

import json
import os
import struct
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import suppress
from select import select
from socket import AF_INET, AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SOCK_DGRAM, SOCK_NONBLOCK, socket

PORT = 7777
INTERVAL_S = 0.02

_QUESTION = struct.Struct("!cI")
_STDIN = 0


class Asker:
    """Asks one address; a network that refuses to send counts as a question without an answer."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket(AF_INET6 if ":" in address else AF_INET, SOCK_DGRAM | SOCK_NONBLOCK)
        self.answered = False
        self._asked = 0
        self._waiting: dict[int, float] = {}  # when each question without an answer was sent, by its number

    def ask(self, now: float) -> None:
        """Send the next question."""
        with suppress(OSError):  # no route or no endpoint yet
            self.socket.sendto(_QUESTION.pack(b"?", self._asked), (self.address, PORT))
        self._waiting[self._asked] = now
        self._asked += 1

    def receive(self, now: float) -> None:
        """Report every answer that has arrived."""
        with suppress(OSError):
            while True:
                kind, number = _QUESTION.unpack(self.socket.recv(_QUESTION.size))
                if kind == b"!" and (sent := self._waiting.pop(number, None)) is not None:
                    self.answered = True
                    _report(self.address, sent, now)

    def end(self) -> None:
        """Report the questions without an answer."""
        for sent in self._waiting.values():
            _report(self.address, sent, None)


class Talk:
    """Asks and answers.

    Args:
        interval_s: Time between two questions to an address.
        once: Ask an address only until its first answer.

    """

    def __init__(self, addresses: Sequence[str], *, interval_s: float, once: bool) -> None:
        self._askers = [Asker(address) for address in addresses]
        self._interval_s = interval_s
        self._once = once
        self._due = time.time()

    def run(self) -> None:
        """Ask and answer until standard input ends."""
        lines = _Lines()
        with _echo() as echo:
            while not lines.ended:
                self._ask_if_due(time.time())
                waiting: list[socket | int] = [_STDIN, echo, *(asker.socket for asker in self._askers)]
                ready, _, _ = select(waiting, [], [], max(0.0, self._due - time.time()))
                if echo in ready:
                    _answer(echo)
                for asker in self._askers:
                    if asker.socket in ready:
                        asker.receive(time.time())
                if _STDIN in ready:
                    self._askers += map(Asker, lines.read())
        for asker in self._askers:
            asker.end()

    def _ask_if_due(self, now: float) -> None:
        if now < self._due:
            return
        for asker in self._askers:
            if not (self._once and asker.answered):
                asker.ask(now)
        self._due = max(self._due + self._interval_s, now)


class _Lines:
    """The lines of standard input, read as they come."""

    def __init__(self) -> None:
        self.ended = False
        self._rest = ""

    def read(self) -> Iterator[str]:
        """Yield the lines that have become complete."""
        said = os.read(_STDIN, 65536).decode()
        self.ended = not said
        *lines, self._rest = (self._rest + said).split("\n")
        yield from lines


def _echo() -> socket:
    echo = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK)
    echo.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)
    echo.bind(("::", PORT))
    return echo


def _answer(echo: socket) -> None:
    """Answer every question that has arrived."""
    with suppress(OSError):
        while True:
            question, sender = echo.recvfrom(_QUESTION.size)
            echo.sendto(b"!" + question[1:], sender)


def _report(address: str, sent: float, answered: float | None) -> None:
    print(json.dumps([address, sent, answered]), flush=True)  # noqa: T201 - a program


def main() -> None:
    """Run the program."""
    parser = ArgumentParser()
    parser.add_argument("--interval", type=float, default=INTERVAL_S)
    parser.add_argument("--once", action="store_true")
    parser.add_argument("addresses", nargs="*")
    given = parser.parse_args()
    Talk(given.addresses, interval_s=given.interval, once=given.once).run()


if __name__ == "__main__":
    main()
