"""The parts of a bug report: each returns a text, or raises, and no part needs another one."""

import asyncio
import json
import platform
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import distributions
from pathlib import Path
from random import SystemRandom
from typing import NamedTuple

import msgspec

from ikto_core import __version__
from ikto_core.admin.showing import device_view
from ikto_core.agent.from_config import backend_context, nats_settings, node_name
from ikto_core.cli.formatting import json_text
from ikto_core.cli.report_host import host, log_of, read, run
from ikto_core.cli.secrets import hides
from ikto_core.client import AdminClient
from ikto_core.config import SETTINGS, Config, file_problems, load_config
from ikto_core.device.bounded_backend import open_bounded
from ikto_core.device.model import DeviceState
from ikto_core.errors import IktoError
from ikto_core.plugins.loading import load_plugins
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_settings import findings, record_settings
from ikto_core.store.connection import open_session
from ikto_core.store.reading_once import read_once
from ikto_core.values.times import utc

NATS_TIMEOUT_S, DEVICE_TIMEOUT_S = 20.0, 15.0
OUR_PACKAGES = (
    "ikto",
    "nats-py",
    "nkeys",
    "msgspec",
    "h11",
    "aiohttp",
    "pyroute2",
    "pluggy",
    "structlog",
    "xeddsa",
    "PyNaCl",
)


class Request(NamedTuple):
    """What a report is asked for."""

    config_path: Path | None
    socket: Path | None
    unit: str  # of systemd, whose log is read
    environ: Mapping[str, str]

    def config(self) -> Config:
        """Return the configuration. Raises ConfigError."""
        return load_config(self.config_path, environ=self.environ, overrides={})


class Found:
    """What the parts have found that others need: secrets of the device."""

    def __init__(self) -> None:
        self.secrets: list[bytes] = []

    def saw(self, device: DeviceState) -> None:
        """Note the keys of a device."""
        keys = [device.private_key, *(peer.preshared_key for peer in device.peers.values())]
        self.secrets += [key.text.encode() for key in keys if key]


def parts(request: Request, found: Found) -> dict[str, Callable[[], str | bytes]]:
    """Return the parts by the name of their file."""
    client = AdminClient(request.socket)
    return {
        "versions.json": versions,
        "configuration.json": lambda: configuration(request),
        "environment.json": lambda: environment(request.environ),
        "status.json": lambda: json_text(client.status()),
        "info.json": lambda: json_text(client.info()),
        "peers.json": lambda: json_text(client.peers()),
        "events.jsonl": lambda: b"".join(client.event_lines()),
        "metrics.txt": client.metrics,
        "log.txt": lambda: log_of(request.unit),
        "host.txt": host,
        "wireguard.txt": lambda: wireguard(request),
        "device.json": lambda: device(request, found),
        "bucket.json": lambda: bucket(request),
        "state.txt": lambda: state(request),
    }


def versions() -> str:
    """Return the versions of Ikto, of what it runs on, and of its plugins."""
    installed = {each.metadata["Name"]: each.version for each in distributions() if each.metadata["Name"]}
    plugins = [msgspec.to_builtins(status) for status in load_plugins().listing()]
    found = {
        "ikto": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: installed[name] for name in OUR_PACKAGES if name in installed},
        "plugins": plugins,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    return json.dumps(found, indent=2)


def configuration(request: Request) -> str:
    """Return the settings without secrets, and what is wrong with the files that they name. Raises ConfigError."""
    config = request.config()
    shown = dict(config.__rich_repr__())
    problems = file_problems(config)
    return json.dumps({"settings": shown, "problems": problems}, indent=2, default=str)


def environment(environ: Mapping[str, str]) -> str:
    """Return the variables that Ikto reads, and the names of the others."""
    ours = {name: "(hidden)" if hides(name) else value for name, value in environ.items() if name.startswith("IKTO_")}
    known = {f"IKTO_{name.upper()}" for name in SETTINGS if name != "plugins"} | {"IKTO_SOCKET"}
    shown = {name: value if name in known else "(hidden)" for name, value in ours.items()}
    return json.dumps({"ikto": shown, "others": sorted(environ.keys() - ours.keys())}, indent=2)


def wireguard(request: Request) -> str:
    """Return what `wg show` prints; it hides keys. Raises ConfigError."""
    ifname = request.config().wg_dev_name
    return run("wg", "show", ifname)


def device(request: Request, found: Found) -> str:
    """Return the device as the backend reads it in this process. Raises IktoError."""
    config = request.config()
    plugin = load_plugins(blocked=config.blocked_plugins, settings=config.plugins).backend(config.backend)

    async def read_device() -> DeviceState | None:
        start = asyncio.get_running_loop().create_task
        async with (
            _limited(DEVICE_TIMEOUT_S, "the backend"),
            open_bounded(plugin, backend_context(config), start) as backend,
        ):
            return await backend.read(config.wg_dev_name)

    state = asyncio.run(read_device())
    if state is None:
        raise IktoError(f"there is no device {config.wg_dev_name}")
    found.saw(state)
    return json_text(device_view(state, {}))


def bucket(request: Request) -> str:
    """Return the bucket's records as they are, and what is wrong with its settings. Raises IktoError."""
    config = request.config()

    async def read_bucket() -> dict[str, object]:
        async with (
            _limited(NATS_TIMEOUT_S, "NATS"),
            open_session(nats_settings(config, node_name(config)), SystemRandom()) as session,
        ):
            bucket = Bucket(session, config.nats_kv)
            stream = await bucket.stream_info()
            follower = await read_once(bucket)
            return {
                "bucket": bucket.name,
                "revision": follower.revision,
                "created": stream.created,
                "findings": [f"{each}" for each in findings(stream, record_settings(bucket.subjects))],
                "records": {
                    key: {"revision": entry.revision, "time": entry.time, "value": _text(entry.value)}
                    for key, entry in sorted(follower.table.items())
                },
            }

    return json.dumps(asyncio.run(read_bucket()), indent=2)


@asynccontextmanager
async def _limited(seconds: float, who: str) -> AsyncIterator[None]:
    """Raise IktoError unless the block ends in time."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise IktoError(f"{who} did not answer within {seconds:g} s") from None


def state(request: Request) -> str:
    """Return the files of the state directory, and what the state file has. Raises ConfigError and OSError."""
    directory = request.config().state_path()
    rows = []
    for path in sorted(directory.iterdir()):
        status = path.lstat()
        written = f"{utc(status.st_mtime):%Y-%m-%dT%H:%M:%SZ}"
        rows.append(f"{status.st_mode:o} {status.st_uid} {status.st_size:>10} {written} {path.name}")
    return "\n".join([str(directory), *rows, "", read(str(directory / "state.json"))])


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="backslashreplace")
