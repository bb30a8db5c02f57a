"""Plugins have settings, typed by a record of theirs: what is wrong is one line that names plugin, member and type."""

import asyncio
import json
import re
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from ikto_core.cli.main import run
from ikto_core.config import load_config
from ikto_core.device.backend import BackendContext
from ikto_core.disk.key_file import write_private_key
from ikto_core.errors import ConfigError
from ikto_core.ipam.contract import IpamPlugin, IpamRequest
from ikto_core.plugins import load_plugins, with_settings
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PrivateKey, PublicKey
from tests.plugin_site import Site

CONF = """
from contextlib import asynccontextmanager
from typing import Annotated
import msgspec
from msgspec import Meta

class Place(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    path: str = "/tmp"

class Settings(msgspec.Struct, frozen=True):
    directory: Annotated[str, Meta(min_length=1, description="Where the files are.")]
    mode: int = 0o600
    names: tuple[str, ...] = ()
    place: Place = Place()

    def __post_init__(self):
        if self.mode > 0o777:
            raise ValueError("mode is more than 0777")

@asynccontextmanager
async def open_conf(context):
    yield context.settings

class Strategy:
    def candidates(self, request):
        yield request.settings

@hookimpl
def ikto_register_backends():
    return [BackendPlugin(name="conf", summary="", open=open_conf, settings=Settings)]
@hookimpl
def ikto_register_ipam_strategies():
    return [IpamPlugin(name="conf", summary="", make=Strategy, settings=Settings)]
@hookimpl
def ikto_register_observers():
    return [ObserverPlugin(name="plain", summary="", open=print)]
"""

GOOD = {"directory": "/etc/wireguard"}
REQUEST = IpamRequest(
    mesh_cidr=Prefix.parse("fd10::/16"),
    subnet_prefix=48,
    public_key=PublicKey(bytes(32)),
    name="",
    taken=frozenset(),
    random=Random(1),
)


@pytest.fixture
def conf(site: Site) -> Site:
    site.install("conf-ikto", CONF)
    groups = {"ikto.backends": "conf", "ikto.ipam": "conf", "ikto.observers": "plain"}
    text = "".join(f"[{group}]\n{name} = conf_ikto_module\n" for group, name in groups.items())
    (site.path / "conf_ikto-1.5.dist-info" / "entry_points.txt").write_text(text)
    return site


def settings_of(given: dict[str, Any]) -> Any:
    """Return what the backend finds in its context."""

    async def opened() -> object:
        backend = load_plugins(settings={"conf": given}).backend("conf")
        async with backend.open(BackendContext(ifname="wg0", state_dir=Path())) as found:
            return found

    return asyncio.run(opened())


@pytest.mark.usefixtures("conf")
def test_a_backend_and_a_strategy_find_their_settings_in_what_they_are_given() -> None:
    found = settings_of({**GOOD, "names": ["a"], "place": {"path": "/x"}})
    assert (found.directory, found.mode, found.names, found.place.path) == ("/etc/wireguard", 0o600, ("a",), "/x")
    (candidate,) = load_plugins(settings={"conf": GOOD}).ipam("conf").make().candidates(REQUEST)
    assert candidate.directory == "/etc/wireguard"  # type: ignore[attr-defined]  # no subnet: a record of the plugin


@pytest.mark.usefixtures("conf")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "plugins.conf.directory: is missing; give str"),
        ({"directory": 5}, "plugins.conf.directory: expected str, got int"),
        ({"directory": ""}, "plugins.conf.directory: expected str of length >= 1"),
        ({**GOOD, "mode": "0600"}, "plugins.conf.mode: expected int, got str"),
        ({**GOOD, "names": ["a", 1]}, "plugins.conf.names: expected str, got int - at $[1]"),
        ({**GOOD, "place": {"pth": "/x"}}, "plugins.conf.place: object contains unknown field pth"),
        ({**GOOD, "mod": 1}, "plugins.conf.mod: is not a setting of this plugin; did you mean mode?"),
        ({**GOOD, "mode": 4096}, "plugins.conf: mode is more than 0777"),
    ],
)
def test_a_wrong_setting_is_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_plugins(settings={"conf": given}).backend("conf")
    (line,) = caught.value.problems
    assert line == f"{message} (backend 'conf' of conf-ikto 1.5 (entry point 'conf'))"
    assert caught.value.exit_code == 3


@pytest.mark.usefixtures("conf")
def test_every_wrong_setting_is_reported() -> None:
    with pytest.raises(ConfigError, match="have 2 problems") as caught:
        load_plugins(settings={"conf": {"mode": "x"}}).ipam("conf")
    assert [line.split(":")[0] for line in caught.value.problems] == ["plugins.conf.mode", "plugins.conf.directory"]


@pytest.mark.usefixtures("conf")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cnf": {}}, "plugins.cnf: there is no backend, strategy, observer or check of this name"),
        ({"plain": {"a": 1}}, "plugins.plain: this observer takes no settings"),
        ({"agent": {"a": 1}}, "plugins.agent: there is no backend, strategy, observer or check of this name"),
        ({"conf": {}}, "plugins.conf.directory: is missing"),
    ],
)
def test_settings_that_no_plugin_takes_are_reported(given: dict[str, dict[str, Any]], message: str) -> None:
    problems = load_plugins(settings=given).settings_problems()
    assert problems
    assert all(str(problem).startswith(message) for problem in problems)
    assert not load_plugins(settings={"conf": GOOD, "plain": {}}).settings_problems()


def written(tmp_path: Path, **settings: object) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"private_address": "auto", "backend": "fake", **settings}))
    return path


@pytest.mark.usefixtures("conf")
@pytest.mark.parametrize("backend", ["conf", "fake"])
def test_config_check_reports_wrong_settings_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], backend: str
) -> None:
    write_private_key(tmp_path / "key", PrivateKey.generate())
    path = written(tmp_path, backend=backend, plugins={"conf": {"directory": 5}}, private_key_path=f"{tmp_path}/key")
    assert run(["config", "check", "-c", str(path)]) == 3
    printed = "".join(capsys.readouterr())
    assert printed.count("plugins.conf.directory: expected str, got int (backend 'conf' of conf-ikto 1.5") == 1


@pytest.mark.usefixtures("conf")
def test_doctor_reports_wrong_settings_as_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_private_key(tmp_path / "key", PrivateKey.generate())
    path = written(
        tmp_path,
        backend="conf",
        plugins={"conf": {}},
        private_key_path=f"{tmp_path}/key",
        nats_url="nats://127.0.0.1:1",
        state_dir=str(tmp_path / "state"),
    )
    run(["doctor", "--pre", "-c", str(path)])
    printed = "".join(capsys.readouterr())
    assert "plugins.conf.directory: is missing; give str (backend 'conf' of conf-ikto 1.5" in printed
    assert "ConfigError" not in printed


@pytest.mark.usefixtures("conf")
def test_the_schema_has_the_settings_of_installed_plugins(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$defs"]["Config"]["properties"]["plugins"]["properties"]["conf"] == {
        "$ref": "#/$defs/plugins.conf.Settings"
    }
    described = schema["$defs"]["plugins.conf.Settings"]
    assert described["properties"]["directory"]["description"] == "Where the files are."
    assert described["properties"]["place"]["$ref"] == "#/$defs/plugins.conf.Place"
    assert "plugins.conf.Place" in schema["$defs"]


@pytest.mark.usefixtures("conf")
def test_a_variable_of_the_environment_is_one_setting(tmp_path: Path) -> None:
    path = written(tmp_path, plugins={"conf": {"directory": "/a", "mode": 1}, "other": {"x": 1}})
    environ = {"IKTO_PLUGINS__CONF__DIRECTORY": "/b", "IKTO_PLUGINS__CONF__NAMES": '["a"]'}
    plugins = load_config(path, environ=environ, overrides={}).plugins
    assert plugins == {"conf": {"directory": "/b", "mode": 1, "names": ["a"]}, "other": {"x": 1}}
    assert settings_of(plugins["conf"]).names == ("a",)


@pytest.mark.parametrize("wrong", [7, "x", b"", int, dict])
def test_a_plugin_whose_settings_are_no_record_is_reported(site: Site, wrong: object) -> None:
    shown = wrong.__name__ if isinstance(wrong, type) else repr(wrong)
    code = f"BackendPlugin(name='acme', summary='', open=print, settings={shown})"
    site.install("acme-ikto", f"@hookimpl\ndef ikto_register_backends(): return [{code}]")
    (row,) = [row for row in load_plugins().listing() if row.distribution == "acme-ikto"]
    assert "'acme', whose `settings` is not a class made of msgspec.Struct" in row.reason


class Settings(msgspec.Struct):
    length: int


class Strategy:
    def candidates(self, request: IpamRequest) -> list[Prefix]:
        return [Prefix.parse(f"fd10::/{request.settings.length}")]


def test_a_program_and_a_test_give_settings_to_a_record_of_their_own() -> None:
    plugin = IpamPlugin(name="mine", summary="", make=Strategy, settings=Settings)
    assert list(with_settings(plugin, {"length": 32}).make().candidates(REQUEST)) == [Prefix.parse("fd10::/32")]
    with pytest.raises(ConfigError, match=re.escape("plugins.mine.length: is missing; give int (ipam 'mine')")):
        with_settings(plugin, {})
    without = IpamPlugin(name="mine", summary="", make=Strategy)
    assert with_settings(without, {}) is without
    with pytest.raises(ConfigError, match="ipam 'mine' takes no settings"):
        with_settings(without, {"length": 32})
