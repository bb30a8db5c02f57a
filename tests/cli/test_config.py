"""`ikto config check` reports the same problems as an agent would."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from ikto_core.cli.main import run
from ikto_core.config import config_schema
from ikto_core.disk.key_file import write_private_key
from ikto_core.lab.agent_process import write_private
from ikto_core.mesh.records import record_key
from ikto_core.values.keys import PrivateKey
from tests.entitled import Account
from tests.store.credentials import USER, Nkey, creds_file

PRIVATE_KEY = PrivateKey(bytes(range(32))).text


@pytest.fixture
def valid(tmp_path: Path) -> Path:
    return config_file(tmp_path)


def config_file(directory: Path, name: str = "ikto.json", **members: object) -> Path:
    """A configuration that an agent accepts on any host, but for `members`."""
    key, path = directory / "key", directory / name
    if not key.exists():
        write_private_key(key, PrivateKey.generate())
    base = {"private_address": "auto", "backend": "fake", "private_key_path": str(key)}
    write_private(path, json.dumps(base | members))
    return path


@pytest.fixture
def invalid(tmp_path: Path) -> Path:
    path = tmp_path / "ikto.json"
    path.write_text('{"private_address": "auto", "wg_port": 0, "nats_kv": ""}')
    return path


def test_a_valid_file_is_ok(valid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "-c", str(valid)]) == 0
    assert capsys.readouterr().out == f"{valid}: ok\n"


def test_a_valid_file_is_ok_in_json(valid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "--json", "--config", str(valid)]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "problems": [], "warnings": []}


@pytest.mark.parametrize("command", [("agent",), ("config", "check"), ("doctor",)])
def test_without_c_the_configuration_is_that_of_the_package(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--help"]) == 0
    assert "[default: /etc/ikto/config.json]" in " ".join(capsys.readouterr().out.split())


def test_every_problem_is_one_line(invalid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "-c", str(invalid)]) == 3
    captured = capsys.readouterr()
    port, bucket = captured.err.splitlines()
    assert port == f"ikto: wg_port: 0 is not a port (in {invalid}); give 1 to 65535"
    assert bucket.startswith('ikto: nats_kv: "" is not a bucket\'s name ')
    assert captured.out == ""


def test_every_problem_is_one_item_in_json(invalid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "--json", "-c", str(invalid)]) == 3
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert answer["ok"] is False
    assert [problem.partition(":")[0] for problem in answer["problems"]] == ["wg_port", "nats_kv"]
    assert captured.err == ""


def test_a_directory_is_one_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "--json", "-c", str(tmp_path)]) == 3
    assert json.loads(capsys.readouterr().out)["problems"] == [f"{tmp_path}: is a directory, not a file"]


def test_a_missing_file_is_one_line_with_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none"
    assert run(["config", "check", "-c", str(path)]) == 3
    assert capsys.readouterr().err == f"ikto: {path}: there is no such file (`ikto init -o {path}` writes one)\n"


def test_environment_variables_are_checked(
    valid: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IKTO_WG_PORT", "x")
    assert run(["config", "check", "-c", str(valid)]) == 3
    assert "(from IKTO_WG_PORT)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("server", "named"),
    [
        ("nats://10.5.0.9:4222", "nats://10.5.0.9:4222 is inside mesh_cidr 10.0.0.0/8"),
        ("wss://u:secret@10.5.0.9", "wss://10.5.0.9 is inside mesh_cidr 10.0.0.0/8"),
        ("tls://nats.test", "tls://nats.test is reached at 10.5.0.9, which is inside mesh_cidr 10.0.0.0/8"),
        ("nats://192.0.2.1,nats://nats.test", "nats://nats.test is reached at 10.5.0.9"),
        ("nats://192.0.2.1", ""),
        ("nats://[fd10::1]", ""),
        ("nats://unknown.test", ""),
    ],
)
def test_a_nats_server_inside_the_mesh_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, server: str, named: str
) -> None:
    def getaddrinfo(host: str | bytes, *_args: Any, **_kwargs: Any) -> list[Any]:
        if host in ("nats.test", b"nats.test"):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.5.0.9", 4222))]
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    mesh: dict[str, Any] = {"private_address": "10.9.0.1", "mesh_cidr": "10.0.0.0/8", "subnet_prefix": 24}
    path = config_file(tmp_path, **(mesh | {"nats_url": server}))
    assert run(["config", "check", "-c", str(path)]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{path}: ok\n"
    assert len(captured.err.splitlines()) == bool(named)
    assert named in captured.err
    assert "secret" not in captured.err
    assert run(["config", "check", "--json", "-c", str(path)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"]
    assert len(answer["warnings"]) == bool(named)


def test_a_file_name_cannot_control_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config_file(tmp_path, "\x1b[31m")
    assert run(["config", "check", "-c", str(path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/\\x1b[31m: ok\n"


def entitled_config(tmp_path: Path, allow: str, **members: str) -> Path:
    """A configuration whose record_trust needs a right, with a creds file that allows one subject."""
    account, user, creds = Account(), Nkey(USER), tmp_path / "node.creds"
    write_private(creds, creds_file(account.jwt(user, [allow]), user.seed))
    trust = {"private_address": "fd10:1::1", "record_trust": account.record_trust, "nats_creds": str(creds)}
    return config_file(tmp_path, **(trust | members))


def test_credentials_with_the_right_that_record_trust_requires_are_ok(tmp_path: Path) -> None:
    key = record_key("fd10:1::/48")
    assert run(["config", "check", "-c", str(entitled_config(tmp_path, f"$KV.ikto-mesh.{key}"))]) == 0


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        pytest.param({}, "the user JWT does not allow to publish on $KV.ikto-mesh.peers.", id="no permission"),
        pytest.param(
            {"nats_creds": "", "nats_user": "u", "nats_password": "p"},
            "record_trust requires nats_creds with a user JWT",
            id="a password",
        ),
        pytest.param({"nats_creds": ""}, "record_trust requires nats_creds with a user JWT", id="no login"),
    ],
)
def test_credentials_without_that_right_have_an_exit_code_of_their_own(
    tmp_path: Path, members: dict[str, str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = entitled_config(tmp_path, "x", **members)
    assert run(["config", "check", "-c", str(path)]) == 8
    assert f"ikto: other nodes would refuse this node's record: {reason}" in capsys.readouterr().err
    assert run(["config", "check", "--json", "-c", str(path)]) == 8
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert reason in problem


def test_files_and_plugins_of_another_host_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = entitled_config(tmp_path, "x", nats_creds="/nowhere", private_key_path="/nowhere/key", backend="acme")
    assert run(["config", "check", "-c", str(path), "--other-host"]) == 0
    assert capsys.readouterr().out == f"{path}: ok\n"
    assert run(["config", "check", "-c", str(path)]) == 3


REFUSED = [
    pytest.param({"state_dir": "/dev/null/x"}, 3, "state_dir: /dev/null", id="state directory below a file"),
    pytest.param({"backend": "acme"}, 7, "there is no backend 'acme'", id="backend"),
    pytest.param({"ipam": "acme"}, 7, "there is no ipam 'acme'", id="strategy"),
    pytest.param({"observers": ["hosts", "acme=1"]}, 7, "there is no observer 'acme'", id="observer"),
    pytest.param({"blocked_plugins": ["fake"]}, 7, "backend 'fake' of", id="blocked backend"),
    pytest.param({"backend": "wgtool", "netns": "blue"}, 6, "wgtool does not support devices in another", id="netns"),
    pytest.param({"backend": "netlink", "netns": "/nowhere"}, 6, "there is no network namespace", id="no netns"),
    pytest.param({"private_key_path": "/nowhere"}, 3, "private_key_path: /nowhere: there is no such file", id="no key"),
    pytest.param({"private_key_path": "/"}, 3, "private_key_path: /: is a directory", id="key is a directory"),
    pytest.param({"mesh_cidr": "::/0"}, 3, 'mesh_cidr: "::/0" contains every address', id="mesh ::/0"),
    pytest.param({"mesh_cidr": "0.0.0.0/0", "subnet_prefix": 24}, 3, "contains every address", id="mesh 0.0.0.0/0"),
    pytest.param({"wg_dev_name": "lo"}, 3, 'wg_dev_name: "lo" is the loopback device', id="lo"),
    pytest.param({"nats_creds": "/nowhere"}, 3, "nats_creds: /nowhere: there is no such file", id="no creds"),
    pytest.param({"nats_nkey_seed": "/etc/hostname"}, 3, "nats_nkey_seed: /etc/hostname", id="no seed"),
    pytest.param({"nats_tls_ca": "/etc/hostname"}, 3, "nats_tls_ca: /etc/hostname: holds no certificate", id="no CA"),
    pytest.param(
        {"record_trust": Account().record_trust, "nats_account_jwt": "/nowhere", "nats_creds": "/nowhere"},
        3,
        "nats_account_jwt: /nowhere: there is no such file",
        id="no account JWT",
    ),
]


@pytest.mark.parametrize(("members", "code", "said"), REFUSED)
def test_what_an_agent_refuses_is_a_problem_with_its_exit_code(
    tmp_path: Path, members: dict[str, object], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config_file(tmp_path, "ikto.json", **members)
    assert run(["config", "check", "-c", str(path)]) == code
    assert said in capsys.readouterr().err
    assert run(["config", "check", "--json", "-c", str(path)]) == code
    answer = json.loads(capsys.readouterr().out)
    assert not answer["ok"]
    assert any(said in problem for problem in answer["problems"])


@pytest.mark.parametrize(("members", "code", "said"), REFUSED)
def test_an_agent_ends_with_the_exit_code_that_config_check_says(
    tmp_path: Path, members: dict[str, object], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Port 1 has no NATS server: an agent that got so far would end with code 5."""
    refused = {"nats_url": "nats://127.0.0.1:1", "state_dir": str(tmp_path)} | members
    path = config_file(tmp_path, "ikto.json", **refused)
    assert run(["agent", "-c", str(path), "-s", str(tmp_path / "s")]) == code
    assert said.removeprefix("private_key_path: ") in capsys.readouterr().err


def test_a_key_that_others_can_change_is_one_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config_file(tmp_path)
    (tmp_path / "key").chmod(0o666)
    assert run(["config", "check", "-c", str(path)]) == 3
    (problem,) = capsys.readouterr().err.splitlines()
    assert "has mode 0666, which lets other users change it; chmod 600" in problem


def test_a_key_file_without_a_key_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config_file(tmp_path)
    write_private(tmp_path / "key", "no key")
    assert run(["config", "check", "-c", str(path)]) == 3
    assert "holds no private key" in capsys.readouterr().err


@pytest.mark.parametrize(
    "trust",
    [
        *("account:", "account:AAAA", "account:any", "proven"),
        pytest.param(f"account:{Nkey(USER).public}", id="a user"),
    ],
)
def test_a_trust_that_makes_no_sense_is_a_problem(
    tmp_path: Path, trust: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "check", "-c", str(entitled_config(tmp_path, "x", record_trust=trust))]) == 3
    assert "is not a way to trust records" in capsys.readouterr().err


def test_the_schema_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(config_schema()))


def test_variables_that_are_ignored_are_named_and_are_no_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config_file(tmp_path)
    monkeypatch.setenv("IKTO_MTU", "")
    assert run(["config", "check", "-c", str(path)]) == 0
    assert capsys.readouterr().err == "ikto: warning: IKTO_MTU: is empty (in the environment); it is ignored\n"
    assert run(["config", "check", "-c", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == ["IKTO_MTU: is empty (in the environment); it is ignored"]


def with_key(tmp_path: Path, content: str = PRIVATE_KEY, mode: int = 0o600, **members: object) -> Path:
    """Write a configuration that names a key file; return its path."""
    key, path = tmp_path / "private.key", tmp_path / "ikto.json"
    key.write_text(content)
    key.chmod(mode)
    write_private(path, json.dumps({"private_address": "auto", "private_key_path": str(key)} | members))
    return path


def code_of_agent(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Return the exit code of an agent that ends before it touches the host, and its output; 0: it would run."""
    monkeypatch.setattr("ikto_core.cli.agent_run.run_agent", lambda *_: asyncio.sleep(0))
    code = run(["agent", "-c", str(path)])
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, (0, ""), id="valid"),
        pytest.param({"mode": 0o644}, (0, "has mode 0644, which lets other users read it"), id="readable key"),
        pytest.param({"mode": 0o666}, (3, "has mode 0666, which lets other users change it"), id="writable key"),
        pytest.param({"content": "junk"}, (3, "holds no private key"), id="junk"),
        pytest.param({"content": f"\n {PRIVATE_KEY} \r\n\n"}, (0, ""), id="whitespace"),
        pytest.param({"Name": "a", "comment": 1}, (0, "Name: is read as name"), id="names"),
        pytest.param({"wg_port": None}, (0, "wg_port: is null"), id="null"),
        pytest.param({"mesh_cidr": "fd10::5/16"}, (0, '"fd10::5/16" is read as "fd10::/16"'), id="host bits"),
        pytest.param({"nats_url": "localhost"}, (0, '"localhost" is read as "nats://localhost"'), id="no scheme"),
        pytest.param({"backend": "none-such"}, (7, "none-such"), id="backend"),
        pytest.param({"ipam": "none-such"}, (7, "none-such"), id="ipam"),
        pytest.param({"observers": ["none-such"]}, (7, "none-such"), id="observer"),
    ],
)
def test_ok_is_said_exactly_when_an_agent_starts(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    expected: tuple[int, str],
) -> None:
    path, (code, reason) = with_key(tmp_path, **changes), expected
    assert run(["config", "check", "-c", str(path)]) == code
    captured = capsys.readouterr()
    assert reason in captured.err
    assert captured.err.count(reason) == 1 or not reason
    assert (captured.out == f"{path}: ok\n") == (code == 0)
    started, log = code_of_agent(path, capsys, monkeypatch)
    assert started == code
    assert reason in log
    assert log.count(reason) == 1 or not reason
    assert run(["config", "check", "--json", "-c", str(path)]) == code
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] == (code == 0)
    assert reason in "".join(answer["problems"] + answer["warnings"])


@pytest.mark.parametrize("setting", ["nats_creds", "nats_nkey_seed", "nats_tls_ca"])
def test_a_file_that_can_not_log_in_is_a_problem_and_so_is_a_missing_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str
) -> None:
    file = tmp_path / "file"
    members: dict[str, Any] = {setting: str(file)}
    write_private(file, "junk")
    assert run(["config", "check", "-c", str(with_key(tmp_path, **members))]) == 3
    assert capsys.readouterr().err.startswith(f"ikto: {setting}: {file}: holds no ")
    file.unlink()
    assert run(["config", "check", "-c", str(with_key(tmp_path, **members)), "--other-host"]) == 0
    assert run(["config", "check", "-c", str(with_key(tmp_path, **members))]) == 3
    assert capsys.readouterr().err.endswith(f"ikto: {setting}: {file}: there is no such file\n")
