"""A configuration file of Ikto 0.3.0 stays: what that program accepts has the same meaning, with a warning."""

import json
from pathlib import Path
from typing import Any

import pytest

from ikto_core.config import SETTINGS, Config, file_warnings, load_config
from ikto_core.errors import ConfigError

pytestmark = pytest.mark.usefixtures("private_umask")
BASE = '"private_address": "fd10:1::"'


def loaded(tmp_path: Path, members: str, **environ: str) -> tuple[Config, list[str]]:
    """Return the configuration of a file with these members, and the warnings without the file's name."""
    path, warnings = tmp_path / "ikto.json", list[str]()
    path.write_text(f"{{{BASE}, {members}}}")
    config = load_config(path, environ=environ, overrides={}, warn=warnings.append)
    return config, [warning.replace(f" (in {path})", "") for warning in warnings]


@pytest.mark.parametrize(
    ("members", "setting", "value", "warning"),
    [
        ('"Name": "a"', "name", "a", "Name: is read as name; write name"),
        ('"WG_Port": 7', "wg_port", 7, "WG_Port: is read as wg_port; write wg_port"),
        ('"wg_port": null', "wg_port", 51820, "wg_port: is null, which counts as not given; leave it out"),
        ('"mtu": null', "mtu", "auto", "mtu: is null, which counts as not given; leave it out"),
        (
            '"wg_port": 7, "wg_port": 8',
            "wg_port",
            8,
            "wg_port: is given more than once, and the last one counts; give it once",
        ),
        (
            '"mesh_cidr": "fd10::7/16"',
            "mesh_cidr",
            "fd10::/16",
            'mesh_cidr: "fd10::7/16" is read as "fd10::/16"; write that',
        ),
        (
            '"advertise_address": "::ffff:192.0.2.1"',
            "advertise_address",
            "192.0.2.1",
            'advertise_address: "::ffff:192.0.2.1" is read as "192.0.2.1"; write that',
        ),
        (
            '"nats_url": "h:4222"',
            "nats_url",
            "nats://h:4222",
            'nats_url: "h:4222" is read as "nats://h:4222"; write that',
        ),
    ],
)
def test_what_0_3_0_accepts_has_the_same_meaning_and_one_warning(
    tmp_path: Path, members: str, setting: str, value: object, warning: str
) -> None:
    config, warnings = loaded(tmp_path, members)
    assert getattr(config, setting) == value
    assert warnings == [warning]


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("127.0.0.1", ["nats://127.0.0.1"]),
        ("[::1]:4222", ["nats://[::1]:4222"]),
        ("a:1, tls://b:2,c", ["nats://a:1", "tls://b:2", "nats://c"]),
        ("nats://a,", ["nats://a"]),
        ("", ["nats://127.0.0.1:4222"]),
        (" , ", ["nats://127.0.0.1:4222"]),
    ],
)
def test_urls_are_read_as_the_go_client_reads_them(tmp_path: Path, text: str, servers: list[str]) -> None:
    config, warnings = loaded(tmp_path, f'"nats_url": {json.dumps(text)}')
    assert config.nats_servers == servers
    assert len(warnings) == 1
    environ, _ = loaded(tmp_path, '"name": "a"', IKTO_NATS_URL=text)
    assert environ.nats_servers == servers


def test_a_password_in_a_url_without_a_scheme_is_not_shown(tmp_path: Path) -> None:
    config, (warning,) = loaded(tmp_path, '"nats_url": "u:geheim@h"')
    assert config.nats_servers == ["nats://u:geheim@h"]
    assert "geheim" not in f"{warning} {config}"
    (tmp_path / "ikto.json").chmod(0o644)
    with pytest.raises(ConfigError, match="holds a secret"):
        load_config(tmp_path / "ikto.json", environ={}, overrides={})


@pytest.mark.parametrize("name", ["_comment", "description", "a\nb\x7f", "", "x" * 10_000, "wireguard"])
def test_an_unknown_member_is_ignored_with_a_warning(tmp_path: Path, name: str) -> None:
    config, (warning,) = loaded(tmp_path, f"{json.dumps(name)}: [{{}}]")
    assert config == Config(private_address="fd10:1::")
    assert "is not a known setting" in warning
    assert "and is ignored" in warning
    assert warning.isprintable()
    assert len(warning) < 400


def test_many_unknown_members_are_a_few_warnings(tmp_path: Path) -> None:
    _, warnings = loaded(tmp_path, ",".join(f'"x{number}": 0' for number in range(1_000)))
    assert len(warnings) == 21
    assert warnings[-1] == "…and 980 more of these"


@pytest.mark.parametrize("name", ["record_trsut", "Record-Trust", "removal-limit", "wg_prot", "nats_cred"])
def test_a_name_that_is_almost_that_of_a_setting_is_a_problem_all_the_same(tmp_path: Path, name: str) -> None:
    """To ignore it would do harm, as with a setting that protects the mesh."""
    with pytest.raises(ConfigError, match=r"is not a known setting .* did you mean"):
        loaded(tmp_path, f"{json.dumps(name)}: 1")


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ('"name": "a", "Name": "b"', "b"),
        ('"NAME": "a", "name": "b"', "b"),
        ('"name": "a", "name": null', "a"),
        ('"name": "a", "Name": null, "n\\u0061me": "c"', "c"),
    ],
)
def test_the_last_of_several_counts_and_null_never_does(tmp_path: Path, members: str, name: str) -> None:
    assert loaded(tmp_path, members)[0].name == name


def test_a_file_without_oddities_has_no_warning(tmp_path: Path) -> None:
    members = {"mesh_cidr": "fd10::/16", "nats_url": "nats://a:1, tls://b", "nats_creds": "/c", "name": ""}
    assert loaded(tmp_path, json.dumps(members)[1:-1])[1] == []


def test_a_user_in_the_url_beside_a_creds_file_is_a_warning(tmp_path: Path) -> None:
    config, (warning,) = loaded(tmp_path, '"nats_creds": "/c", "nats_url": "nats://u:geheim@h"')
    assert config.nats_creds == "/c"
    assert warning.startswith("nats_url: has a user beside nats_creds, ")
    assert "geheim" not in warning


@pytest.mark.parametrize("setting", SETTINGS)
def test_null_is_not_given_whatever_the_setting(tmp_path: Path, setting: str) -> None:
    assert loaded(tmp_path, f'"{setting}": null')[0] == Config(private_address="fd10:1::")


REFUSED: list[tuple[str, Any]] = [
    *(("wg_port", value) for value in ("51820", 51820.0, 5e4, 0, True)),
    ("subnet_prefix", "48"),
    ("name", 5),
    ("nats_url", "http://h"),
    ("advertise_address", "::"),
    ("advertise_address", "fd10::1"),
]


@pytest.mark.parametrize(("setting", "value"), REFUSED)
def test_what_0_3_0_refuses_or_what_does_harm_stays_refused(tmp_path: Path, setting: str, value: object) -> None:
    with pytest.raises(ConfigError, match=setting):
        loaded(tmp_path, f"{json.dumps(setting)}: {json.dumps(value)}")


def test_a_byte_order_mark_is_refused_as_by_0_3_0(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(b"\xef\xbb\xbf{%s}" % BASE.encode())
    with pytest.raises(ConfigError, match="byte order mark"):
        load_config(path, environ={}, overrides={})


def test_a_key_file_that_others_can_read_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch()
    path.chmod(0o644)
    config = Config(private_address="auto", private_key_path=str(path))
    assert file_warnings(config) == (
        f"private_key_path: {path}: has mode 0644, which lets other users read it; chmod 600 {path}",
    )
    path.chmod(0o600)
    assert file_warnings(config) == ()
