"""Events of the underlay: links, addresses or routes of this host have changed."""

import asyncio
from collections.abc import AsyncGenerator
from errno import ENOBUFS
from socket import AF_NETLINK, NETLINK_ROUTE, SO_RCVBUF, SOCK_NONBLOCK, SOCK_RAW, SOL_SOCKET, socket

import structlog

SETTLE_S = 0.15
"""How long to wait after a change for those that follow it: an interface that comes up makes a dozen within 0.1 s."""

LOOK_EVERY_S = 30.0
"""How often an event is assumed while the kernel can't be asked for them."""

_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR and _IPV6_ROUTE: linux/rtnetlink.h."""

_RECEIVE_BYTES = 4096
"""Small on purpose: what an event says is not read. If a flood overflows it, the kernel drops the rest cheaply."""

log = structlog.get_logger(__name__)


async def underlay_events() -> AsyncGenerator[None]:
    """Yield once at the start and after each burst of changes, without end; changes of the mesh device count too.

    No change is lost between two items, and none follows another within SETTLE_S. While the kernel does not report
    changes, as in a sandbox without netlink, an item comes every LOOK_EVERY_S.
    """
    failed = False
    while True:
        try:
            with _subscription() as listener:
                failed = False
                yield
                while True:
                    await _receive(listener)
                    await asyncio.sleep(SETTLE_S)
                    _discard_waiting(listener)
                    yield
        except OSError as error:
            if not failed:
                log.warning("underlay events failed", error=str(error), look_every_s=LOOK_EVERY_S)
            failed = True
        await asyncio.sleep(LOOK_EVERY_S)
        yield


def _subscription() -> socket:
    listener = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE)
    try:
        listener.setsockopt(SOL_SOCKET, SO_RCVBUF, _RECEIVE_BYTES)
        listener.bind((0, _GROUPS))
    except OSError:
        listener.close()
        raise
    return listener


async def _receive(listener: socket) -> None:
    """Wait for a message; one that did not fit into the buffer (ENOBUFS) counts too."""
    try:
        await asyncio.get_running_loop().sock_recv(listener, 1)  # the rest of a datagram is discarded
    except OSError as error:
        if error.errno != ENOBUFS:
            raise


def _discard_waiting(listener: socket) -> None:
    """Discard the messages that wait: at most as many as fit into the buffer, and their overflow."""
    for _ in range(_RECEIVE_BYTES):
        try:
            listener.recv(1)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != ENOBUFS:
                raise
