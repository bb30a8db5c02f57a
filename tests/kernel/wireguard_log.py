"""What the kernel's WireGuard says of its handshakes: the messages for developers, which are off by default."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ikto_core.lab.network import run

STARTED = "Sending handshake initiation to peer"
COMPLETED = "Receiving handshake response from peer"
SECOND_TRY = "did not complete after"
"""An initiation got no answer within REKEY_TIMEOUT (5 s), so WireGuard sends another one (linux: timers.c)."""
GIVEN_UP = "because we stopped hearing back"
"""A session got no answer for KEEPALIVE_TIMEOUT and REKEY_TIMEOUT (15 s), so WireGuard makes a new one (timers.c)."""

_SWITCH = Path("/proc/dynamic_debug/control")
_SYSCTL = ("nsenter", "--net=/proc/1/ns/net", "sysctl", "-n")
_PAUSE_S = "net.core.message_cost"
"""For so long network messages are dropped after a burst of ten; 0: none is dropped. Other namespaces don't have it."""


class WireguardLog:
    """The messages since the block began."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: list[str] = []

    def lines(self, text: str, ifname: str = "") -> list[str]:
        """Return the messages with this text, of one device or of all. Raises BrokenPipeError if some were lost."""
        with suppress(BlockingIOError):
            while True:
                record = os.read(self._descriptor, 8192).decode()
                self._lines.append(record.partition(";")[2].splitlines()[0])
        begin = f"wireguard: {ifname}:" if ifname else "wireguard: "
        return [line for line in self._lines if line.startswith(begin) and text in line]


@contextmanager
def wireguard_log() -> Iterator[WireguardLog]:
    """Read the messages of WireGuard, in all network namespaces, for the length of the block."""
    pause_s = run(*_SYSCTL, _PAUSE_S).strip()
    descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        os.lseek(descriptor, 0, os.SEEK_END)
        run(*_SYSCTL, "-w", f"{_PAUSE_S}=0")
        _SWITCH.write_text("module wireguard +p")
        yield WireguardLog(descriptor)
    finally:
        _SWITCH.write_text("module wireguard -p")
        run(*_SYSCTL, "-w", f"{_PAUSE_S}={pause_s}")
        os.close(descriptor)
