"""`ikto init` prints a valid configuration with a random private address."""

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.cli.init import random_private_address
from ikto_core.cli.main import run
from ikto_core.config import SETTINGS, Config, load_config
from ikto_core.values.addressing import Prefix, parse_address
from tests.store.credentials import ACCOUNT, Nkey

ORDER_OF_0_3_0 = [
    "name",
    "advertise_address",
    "private_address",
    "subnet_prefix",
    "mesh_cidr",
    "wg_dev_name",
    "wg_port",
    "private_key_path",
    "nats_creds",
    "nats_url",
    "nats_kv",
]
VALUES = {
    "name": "näme",
    "advertise_address": "203.0.113.10",
    "private_address": "10.3.0.0",
    "subnet_prefix": "16",
    "mesh_cidr": "10.0.0.0/8",
    "wg_dev_name": "wg7",
    "netns": "blue",
    "wg_port": "7",
    "private_key_path": "/k",
    "nats_url": "tls://h:1,tls://i:2",
    "nats_kv": "other",
    "mesh_answers": "false",
    "backend": "fake",
    "ipam": "hash",
    "ipam_reserved": "10.0.0.0/16,10.255.0.0/16",
    "observers": "hosts,exec=/usr/local/bin/hook",
    "blocked_plugins": "acme-ikto,fast",
    "plugins": '{"conf": {"directory": "/etc/wireguard"}}',
    "state_dir": "/s",
    "mtu": "1400",
    "persistent_keepalive": "25",
    "fwmark": "9",
    "endpoints": "192.0.2.1:1,[2001:db8::1]:2",
    "keep_foreign_peers": "true",
    "adopt_device": "true",
    "removal_limit": "100",
    "log_level": "debug",
    "record_trust": "proved",
    "metrics_listen": "[::1]:9586",
    "metrics_peers": "0",
    "lease": "24h",
    "nats_api_prefix": "m.api",
    "nats_user": "u",
    "nats_password": "p",
    "nats_tls_first": "true",
    "nats_tls_ca": "/ca",
    "nats_tls_cert": "/cert",
    "nats_tls_key": "/key",
}


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["init", *arguments]) == 0
    return capsys.readouterr().out


def test_the_settings_of_0_3_0_are_printed_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys)
    document = json.loads(text)
    defaults = Config()
    assert list(document) == ORDER_OF_0_3_0
    expected = {name: getattr(defaults, name) for name in ORDER_OF_0_3_0} | {"wg_dev_name": "wg-ikto"}
    assert {**document, "private_address": ""} == expected
    assert text == json.dumps(document, indent=2) + "\n"


def test_each_run_chooses_another_random_subnet(capsys: pytest.CaptureFixture[str]) -> None:
    addresses = {json.loads(printed(capsys))["private_address"] for _ in range(5)}
    assert len(addresses) == 5
    assert all(address.startswith("fd10:") and address.endswith("::") for address in addresses)


@pytest.mark.parametrize(
    "options", [("-m", "10.0.0.0/8", "-p", "24"), ("--mesh-cidr=10.0.0.0/8", "--subnet-prefix=24")]
)
def test_mesh_and_prefix_length_are_options(capsys: pytest.CaptureFixture[str], options: tuple[str, ...]) -> None:
    document = json.loads(printed(capsys, *options))
    assert (document["mesh_cidr"], document["subnet_prefix"]) == ("10.0.0.0/8", 24)
    assert parse_address(document["private_address"])[0] == 10


@pytest.mark.parametrize("options", [("--mesh-ip-net", "fd00::/8", "--subnet-prefix-length", "32")])
def test_the_long_options_of_0_3_0_are_accepted(capsys: pytest.CaptureFixture[str], options: tuple[str, ...]) -> None:
    document = json.loads(printed(capsys, *options))
    assert (document["mesh_cidr"], document["subnet_prefix"]) == ("fd00::/8", 32)


def test_every_setting_has_an_option_and_is_written(tmp_path: Path) -> None:
    path = tmp_path / "ikto.json"
    alternatives = {"nats_creds", "nats_token", "nats_nkey_seed", "nats_domain"}  # can't be combined with others
    alternatives |= {"nats_account_jwt"}  # requires an account in record_trust
    assert VALUES.keys() | alternatives == set(SETTINGS)
    options = [f"--{name.replace('_', '-')}={text}" for name, text in VALUES.items()]
    assert run(["init", "-o", str(path), *options]) == 0
    config = load_config(path, environ={}, overrides={})
    for name, text in VALUES.items():
        value = getattr(config, name)
        shown = json.dumps(value) if isinstance(value, dict) else str(value)
        assert (",".join(value) if isinstance(value, tuple) else shown).lower() == text


def test_an_account_and_its_jwt_are_options_and_the_jwt_needs_the_account(capsys: pytest.CaptureFixture[str]) -> None:
    trust = f"account:{Nkey(ACCOUNT).public}"
    document = json.loads(printed(capsys, f"--record-trust={trust}", "--nats-account-jwt=x"))
    assert (document["record_trust"], document["nats_account_jwt"]) == (trust, "x")
    assert run(["init", "--nats-account-jwt=x"]) == 3
    assert "nats_account_jwt: is given without an account in record_trust" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nats_creds", "nats_token", "nats_nkey_seed"])
def test_other_ways_to_authenticate_are_options(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert json.loads(printed(capsys, f"--{name.replace('_', '-')}", "x"))[name] == "x"


def test_a_given_address_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    for address in ("auto", "fd10:7::1"):
        assert json.loads(printed(capsys, "--private-address", address))["private_address"] == address


@pytest.mark.parametrize("name", ["random", "sequential", "hash"])
def test_a_given_strategy_is_written_with_the_address_auto(capsys: pytest.CaptureFixture[str], name: str) -> None:
    document = json.loads(printed(capsys, "--ipam", name))
    assert list(document) == [*ORDER_OF_0_3_0, "ipam"]
    assert (document["private_address"], document["ipam"]) == ("auto", name)


@pytest.mark.parametrize("name", ["random", "static"])
def test_a_given_address_is_written_beside_a_strategy(capsys: pytest.CaptureFixture[str], name: str) -> None:
    document = json.loads(printed(capsys, "--ipam", name, "--private-address", "fd10:7::1"))
    assert (document["private_address"], document["ipam"]) == ("fd10:7::1", name)


def test_static_gets_a_random_address(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(printed(capsys, "--ipam", "static"))
    assert document["ipam"] == "static"
    assert document["private_address"].startswith("fd10:")
    assert run(["init", "--ipam", "static", "--private-address", "auto"]) == 3
    assert (
        'private_address: "auto" needs an ipam that proposes subnets, which "static" does not'
        in capsys.readouterr().err
    )


def test_an_unknown_strategy_is_an_error_that_lists_the_available_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ikto.json"
    assert run(["init", "-o", str(path), "--ipam", "rendom"]) == 7
    stderr = capsys.readouterr().err
    assert stderr == (
        "ikto: there is no ipam 'rendom'; available: hash, random, sequential, static (did you mean 'random'?)\n"
    )
    assert not path.exists()


@pytest.mark.parametrize("options", [("--ipam", "random"), ("--private-address", "auto")])
def test_a_blocked_strategy_is_an_error(capsys: pytest.CaptureFixture[str], options: tuple[str, str]) -> None:
    assert run(["init", *options, "--blocked-plugins", "random"]) == 7
    assert "`blocked_plugins` names 'random'" in capsys.readouterr().err


def test_reserved_networks_are_not_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    reserved = ["--ipam-reserved", "10.0.0.0/17,10.0.192.0/18"]
    documents = [json.loads(printed(capsys, "-m", "10.0.0.0/16", "-p", "18", *reserved)) for _ in range(5)]
    assert {document["private_address"] for document in documents} == {"10.0.128.0"}
    assert run(["init", "--ipam-reserved", "fd10::/16"]) == 3
    assert "ipam_reserved: leaves no subnet of the mesh" in capsys.readouterr().err


def test_environment_variables_are_ignored(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IKTO_NATS_TOKEN", "secret")
    monkeypatch.setenv("IKTO_NAME", "other")
    assert list(json.loads(printed(capsys))) == ORDER_OF_0_3_0


def test_a_written_file_is_valid_and_has_mode_0600(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ikto.json"
    assert printed(capsys, "-o", str(path)) == ""
    assert run(["config", "check", "--other-host", "-c", str(path)]) == 0  # this one has no key
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ikto.json"
    path.write_text("precious")
    assert run(["init", "-o", str(path)]) == 3
    assert capsys.readouterr().err == f"ikto: {path}: already exists and is not overwritten (choose another path)\n"
    assert path.read_text() == "precious"


def test_every_invalid_value_is_reported_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ikto.json"
    assert run(["init", "-o", str(path), "-m", "10.0.0.0/8", "--wg-port", "x", "--private-address", "fd10::"]) == 3
    assert capsys.readouterr().err.splitlines() == [
        'ikto: private_address: "fd10::" is outside the mesh (from --private-address); give one inside 10.0.0.0/8',
        "ikto: subnet_prefix: 48 is longer than an address of the mesh (the default); give 8 to 32 for 10.0.0.0/8",
        'ikto: wg_port: "x" is not a port (from --wg-port); give 1 to 65535',
    ]
    assert not path.exists()


@st.composite
def meshes(draw: st.DrawFn) -> tuple[Prefix, int]:
    address = draw(st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16))
    length = draw(st.integers(0, len(address) * 8))
    return Prefix.of(address, length), draw(st.integers(length, len(address) * 8))


@given(mesh=meshes(), seed=st.integers())
def test_the_address_is_a_subnet_of_the_mesh_and_not_the_first_if_there_is_another(
    mesh: tuple[Prefix, int], seed: int
) -> None:
    network, prefix = mesh
    address = parse_address(random_private_address(network, prefix, Random(seed)))
    assert network.covers(Prefix.of(address, prefix))
    assert Prefix.of(address, prefix).address == address
    broadcast_subnet = (
        network.broadcast is not None and prefix >= 31
    )  # its last address is the mesh's broadcast address
    others = 2 ** (prefix - network.length) - 1 - broadcast_subnet
    assert (address == network.address) == (others < 1)


def test_every_subnet_but_the_first_can_be_chosen() -> None:
    network = Prefix.parse("10.0.0.0/24")
    drawn = {random_private_address(network, 26, Random(seed)) for seed in range(100)}
    assert drawn == {"10.0.0.64", "10.0.0.128", "10.0.0.192"}
