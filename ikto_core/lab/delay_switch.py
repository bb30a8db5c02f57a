"""A switch that delays every frame: `python -m ikto_core.lab.delay_switch SECONDS IF IF…`, for kernels without netem.

It floods each frame to all other interfaces, SECONDS later, until standard input ends. The interfaces behind it must
not leave checksums and segmentation to the hardware: see `disable_offloads`.
"""

import heapq
import struct
import sys
import time
from array import array
from collections.abc import Sequence
from contextlib import suppress
from fcntl import ioctl
from itertools import count
from select import select
from socket import AF_INET, AF_PACKET, PACKET_OUTGOING, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_RAW, htons, socket

_EVERY_PROTOCOL = htons(3)  # ETH_P_ALL, linux/if_ether.h
_FRAMES_AT_ONCE = 64

_SIOCETHTOOL = 0x8946  # linux/sockios.h
_OFFLOADS = (0x17, 0x1F, 0x24)  # ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO of linux/ethtool.h


def disable_offloads(ifname: str) -> None:
    """Have the kernel compute checksums and segment packets before they leave an interface of this host."""
    with socket(AF_INET, SOCK_DGRAM) as control:
        for command in _OFFLOADS:
            value = array("B", struct.pack("II", command, 0))
            with suppress(OSError):  # an interface without it
                ioctl(control, _SIOCETHTOOL, struct.pack("16sP", ifname.encode(), value.buffer_info()[0]))


def switch(delay_s: float, ifnames: Sequence[str]) -> None:
    """Forward frames until standard input ends."""
    ports = [_port(ifname) for ifname in ifnames]
    waiting: list[tuple[float, int, bytes, socket]] = []
    numbers = count()
    print("ready", flush=True)  # noqa: T201 - a program
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, frame, source = heapq.heappop(waiting)
            _flood(frame, [port for port in ports if port is not source])
        ready, _, _ = select([sys.stdin, *ports], [], [], max(0.0, waiting[0][0] - now) if waiting else None)
        if sys.stdin in ready:
            return
        for port in (port for port in ports if port in ready):
            for frame in _received(port):
                heapq.heappush(waiting, (time.monotonic() + delay_s, next(numbers), frame, port))


def _port(ifname: str) -> socket:
    port = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, _EVERY_PROTOCOL)
    port.bind((ifname, 0))
    return port


def _received(port: socket) -> list[bytes]:
    frames = []
    with suppress(BlockingIOError):
        for _ in range(_FRAMES_AT_ONCE):
            frame, address = port.recvfrom(65535)
            if address[2] != PACKET_OUTGOING:
                frames.append(frame)
    return frames


def _flood(frame: bytes, ports: Sequence[socket]) -> None:
    for port in ports:
        with suppress(OSError):  # its other end is down
            port.send(frame)


if __name__ == "__main__":
    switch(float(sys.argv[1]), sys.argv[2:])
