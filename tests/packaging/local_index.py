"""An index of packages on the loopback, as pip knows them (PEP 503), whose wheels have metadata and nothing else."""

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


class Index:
    """Serves the wheels that were added, and remembers which names it was asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.asked: set[str] = set()
        self.url = ""

    def add(self, name: str, version: str, requires: Sequence[str] = (), extras: Sequence[str] = ()) -> str:
        """Add a wheel; return its line in a lock: the pin and the hash."""
        page = self.directory / name
        page.mkdir(exist_ok=True)
        wheel = page / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        _write_wheel(wheel, name, version, [*map("Requires-Dist: {}".format, requires)], extras)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        with (page / "index.html").open("a") as links:
            links.write(f'<a href="{wheel.name}#sha256={digest}">{wheel.name}</a>\n')
        return f"{name}=={version} --hash=sha256:{digest}"


def _write_wheel(wheel: Path, name: str, version: str, requires: Sequence[str], extras: Sequence[str]) -> None:
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    provides = map("Provides-Extra: {}".format, extras)
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *provides, *requires]
    files = {
        "METADATA": "\n".join(metadata) + "\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "".join(f"{info}/{file},,\n" for file in ("METADATA", "WHEEL", "RECORD")),
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, text in files.items():
            archive.writestr(zipfile.ZipInfo(f"{info}/{file}"), text)


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *args: object, index: Index) -> None:
        self.index = index
        super().__init__(*args, directory=str(index.directory))  # type: ignore[arg-type]

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        del code, size
        self.index.asked.add(self.path.split("/")[1])


@contextmanager
def serving(index: Index) -> Iterator[Index]:
    """Serve the index while the context lasts."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, index=index)) as server:
        index.url = f"http://127.0.0.1:{server.server_port}/"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield index
        server.shutdown()
        thread.join()
