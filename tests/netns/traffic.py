"""Traffic that does not pause, and is counted."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGINT
from tempfile import TemporaryFile
from typing import IO

from ikto_core.lab.network import Host

SHOUT = """
import socket, sys, time
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as speaker:
    while True:
        try:
            speaker.sendto(b"hello", (sys.argv[1], 9))
        except OSError:
            pass  # no route yet
        time.sleep(0.01)
"""


class Pings:
    """Pings in a steady stream, one every 20 ms, that are counted when the block ends."""

    def __init__(self, process: "subprocess.Popen[str]", said: IO[str]) -> None:
        self._process = process
        self._said = said
        self.sent = self.lost = 0

    def stop(self) -> None:
        """End the stream; `lost` are those without an answer, but for the very last, which may be on its way."""
        self._process.send_signal(SIGINT)
        self._process.wait(timeout=10)
        self._said.seek(0)
        said = self._said.read()
        answered = {int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", said)}
        (transmitted,) = re.findall(r"(\d+) packets transmitted", said)
        self.sent = int(transmitted)
        self.lost = len(set(range(1, self.sent)) - answered)


@contextmanager
def shouting(host: Host, address: str) -> Iterator[None]:
    """Send to an address from a host for the length of a block, every 10 ms, whether there is a way or not."""
    with subprocess.Popen([*host.exec_prefix, sys.executable, "-c", SHOUT, address]) as process:
        try:
            yield
        finally:
            process.kill()


@contextmanager
def pings(host: Host, address: str) -> Iterator[Pings]:
    """Ping an address from a host for the length of a block."""
    command = [*host.exec_prefix, "ping", "-i", "0.02", address]
    with (
        TemporaryFile("w+") as said,  # a pipe that nobody reads is full after 1000 of them, and the stream stops
        subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, text=True) as process,
    ):
        stream = Pings(process, said)
        try:
            yield stream
            stream.stop()
        finally:
            process.kill()
