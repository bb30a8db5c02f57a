"""Install plugin distributions for a test, laid out as pip does it."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest

HEADER = """
import click
from ikto_core.plugins.hookspecs import hookimpl
from ikto_core.device.backend import BackendPlugin
from ikto_core.errors import IktoError
from ikto_core.ipam.contract import IpamPlugin
from ikto_core.observers.contract import ObserverPlugin

def backend(name, summary="third party"):
    return BackendPlugin(name=name, summary=summary, open=print)
"""

AGING = """
import ikto_core.plugins as door
door._DEPRECATED["parse_dump"] = ("0.5", "use `read_wireguard`")  # as a later version of Ikto might
vars(door).pop("parse_dump", None)
from ikto_core.plugins import parse_dump
del door._DEPRECATED["parse_dump"]
"""
"""The beginning of a plugin that imports a deprecated name."""
AGING_USE = "`parse_dump` of ikto_core.plugins is deprecated since Ikto 0.5: use `read_wireguard`"


class Site:
    """A directory of installed distributions on Python's path. The fixture `site` makes one."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.monkeypatch = monkeypatch
        monkeypatch.syspath_prepend(str(path))

    def install(
        self,
        distribution: str,
        code: str,
        *,
        entry: str | None = None,
        target: str | None = None,
        group: str = "ikto",
    ) -> None:
        """Install version 1.5 of a distribution with one entry point. Its module is not imported yet."""
        module = distribution.replace("-", "_") + "_module"
        mark = f"open({str(self.path / distribution)!r} + '.attempted', 'w').close()\n"
        (self.path / f"{module}.py").write_text(mark + HEADER + dedent(code))
        self.describe(distribution, f"[{group}]\n{entry or distribution} = {target or module}\n")
        self.monkeypatch.delitem(sys.modules, module, raising=False)

    def describe(self, distribution: str, entry_points: str, *, metadata: bytes | None = b"") -> None:
        """Write a distribution's dist-info alone: with the usual metadata, with `metadata`, or (None) without any."""
        info = self.path / f"{distribution.replace('-', '_')}-1.5.dist-info"
        info.mkdir()
        if metadata is not None:
            default = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\n"
            (info / "METADATA").write_bytes(metadata or default.encode())
        (info / "entry_points.txt").write_text(entry_points)

    def attempted(self, distribution: str) -> bool:
        """Whether an import of the module has begun, in any process, be it that it failed."""
        return (self.path / f"{distribution}.attempted").exists()

    def imported(self, distribution: str) -> bool:
        """Whether the module of a distribution has been imported since it was installed."""
        return distribution.replace("-", "_") + "_module" in sys.modules
