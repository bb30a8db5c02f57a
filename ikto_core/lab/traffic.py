"""Steady traffic between hosts: `python -m ikto_core.lab.traffic [ADDRESS…]`.

It answers every datagram on its port, and asks each address every INTERVAL_S until standard input ends. Then it prints
one JSON object: for each address, its questions as pairs of times, sent and answered (null: never), in seconds since
the epoch.
"""

import json
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from select import select
from socket import AF_INET, AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SOCK_DGRAM, SOCK_NONBLOCK, socket

PORT = 7777
INTERVAL_S = 0.02

_QUESTION = struct.Struct("!cI")


class Asker:
    """Asks one address; a network that refuses to send counts as a question without an answer."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.questions: list[tuple[float, float | None]] = []
        self.socket = socket(AF_INET6 if ":" in address else AF_INET, SOCK_DGRAM | SOCK_NONBLOCK)

    def ask(self, now: float) -> None:
        """Send the next question."""
        with suppress(OSError):  # no route or no endpoint yet
            self.socket.sendto(_QUESTION.pack(b"?", len(self.questions)), (self.address, PORT))
        self.questions.append((now, None))

    def receive(self, now: float) -> None:
        """Note every answer that has arrived."""
        with suppress(OSError):
            while True:
                kind, number = _QUESTION.unpack(self.socket.recv(_QUESTION.size))
                if kind == b"!" and self.questions[number][1] is None:
                    self.questions[number] = (self.questions[number][0], now)


def answer(echo: socket) -> None:
    """Answer every question that has arrived."""
    with suppress(OSError):
        while True:
            question, sender = echo.recvfrom(_QUESTION.size)
            echo.sendto(b"!" + question[1:], sender)


def talk(addresses: Sequence[str]) -> dict[str, list[tuple[float, float | None]]]:
    """Ask and answer until standard input ends; return the questions of each address."""
    askers = [Asker(address) for address in addresses]
    with socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK) as echo:
        echo.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)
        echo.bind(("::", PORT))
        due, sockets = time.time(), [asker.socket for asker in askers]
        while True:
            now = time.time()
            if now >= due:
                for asker in askers:
                    asker.ask(now)
                due = max(due + INTERVAL_S, now)
            ready, _, _ = select([sys.stdin, echo, *sockets], [], [], max(0.0, due - time.time()))
            if sys.stdin in ready:
                return {asker.address: asker.questions for asker in askers}
            if echo in ready:
                answer(echo)
            for asker in askers:
                if asker.socket in ready:
                    asker.receive(time.time())


if __name__ == "__main__":
    json.dump(talk(sys.argv[1:]), sys.stdout)
