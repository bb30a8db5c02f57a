"""Makes a process seem to be on another host, at another time: what a strategy must not depend on."""

import datetime as dt
import os
import socket
import sys
import time
from collections.abc import Callable

LATER = dt.timedelta(days=401, hours=5, minutes=7)
HOST = "ikto-kit"
_ASKS = {
    "socket.connect": "it connects to another program or host",
    "socket.sendto": "it sends to another program or host",
    "socket.getaddrinfo": "it looks a name up",
    "socket.gethostbyname": "it looks a name up",
    "subprocess.Popen": "it runs a program",
    "os.system": "it runs a program",
}


class _Date(dt.date):
    @classmethod
    def today(cls) -> "_Date":
        return cls.fromordinal((dt.datetime.now(tz=dt.UTC)).toordinal())


class _DateTime(dt.datetime):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> "_DateTime":
        return super().now(tz) + LATER

    @classmethod
    def utcnow(cls) -> "_DateTime":
        return cls.now(dt.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> "_DateTime":
        return cls.now()


def move(make: Callable[..., object]) -> None:
    """Change time, host, user and directory for what `make` and its package look at. It can't be undone.

    The process ends with a message if it asks the network or runs a program afterwards.
    """
    sys.addaudithook(_refuse)
    package = getattr(make, "__module__", "").partition(".")[0]
    date, moment = dt.date, dt.datetime
    by_s = LATER.total_seconds()
    clock, clock_ns = time.time, time.time_ns
    replaced = {
        id(date): _Date,
        id(moment): _DateTime,
        id(clock): lambda: clock() + by_s,
        id(clock_ns): lambda: clock_ns() + int(by_s) * 10**9,
        id(socket.gethostname): lambda: HOST,
        id(os.uname): _uname(os.uname()),
    }
    for name, module in list(sys.modules.items()):
        if module in {dt, time, socket, os} or name.partition(".")[0] == package:
            for each, value in list(vars(module).items()):
                if id(value) in replaced:
                    setattr(module, each, replaced[id(value)])
    os.environ.update({"USER": HOST, "LOGNAME": HOST, "HOSTNAME": HOST})
    os.chdir("/")


def _uname(real: os.uname_result) -> Callable[[], os.uname_result]:
    return lambda: os.uname_result((real.sysname, HOST, real.release, real.version, real.machine))


def _refuse(event: str, _: tuple[object, ...]) -> None:
    if why := _ASKS.get(event):
        os.write(2, f"\n{why}: a strategy depends on the request alone\n".encode())
        os._exit(1)
