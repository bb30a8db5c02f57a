"""The sources of settings: files of Ikto 0.3.0 keep their meaning, and every problem is reported in one line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ikto_core.config import SETTINGS, Config, config_from_flags, environ_warnings, load_config
from ikto_core.errors import ConfigError

pytestmark = pytest.mark.usefixtures("private_umask")

OF_0_3_0 = {
    "name": "node-a",
    "advertise_address": "203.0.113.10",
    "private_address": "fd10:2082:5bc1::",
    "subnet_prefix": 48,
    "mesh_cidr": "fd10::/16",
    "wg_dev_name": "wg0",
    "wg_port": 51820,
    "private_key_path": "/etc/ikto/private.key",
    "nats_creds": "",
    "nats_url": "nats://127.0.0.1:4222",
    "nats_kv": "ikto-mesh",
}
IPV4_MESH = {"mesh_cidr": "10.0.0.0/8", "private_address": "10.1.2.0", "subnet_prefix": 24}


def load(directory: Path, document: Mapping[str, Any], **environ: str) -> Config:
    path = directory / "ikto.json"
    path.write_text(json.dumps(document))
    return load_config(path, environ=environ, overrides={})


def problems_of(directory: Path, document: Mapping[str, Any], **environ: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(directory, {"private_address": "auto", **document}, **environ)
    assert caught.value.problems
    return caught.value.problems


def test_a_file_of_0_3_0_keeps_its_meaning(tmp_path: Path) -> None:
    config = load(tmp_path, OF_0_3_0)
    assert {name: getattr(config, name) for name in OF_0_3_0} == OF_0_3_0
    assert tuple(SETTINGS)[:11] == tuple(OF_0_3_0)


def test_omitted_settings_have_the_defaults_of_0_3_0(tmp_path: Path) -> None:
    config = load(tmp_path, {"private_address": "fd10:2082:5bc1::"})
    defaults = {**OF_0_3_0, "name": "", "advertise_address": ""}
    assert {name: getattr(config, name) for name in OF_0_3_0} == defaults


@pytest.mark.parametrize(
    "document",
    [
        IPV4_MESH,
        {"subnet_prefix": 16, "private_address": "fd10::"},
        {"subnet_prefix": 128},
        {"private_address": "fd10:1:2::77"},
        {"advertise_address": "auto"},
        {"advertise_address": "2001:db8::1"},
        {"nats_url": "tls://a.example:4222, tls://b.example:4222"},
        {"nats_url": "wss://nats.example/path"},
        {"nats_url": "nats://[::1]:4222"},
        {"nats_url": "nats://user:pass@h"},
        {"nats_user": "u", "nats_password": "p", "nats_tls_ca": "/ca"},
        {"nats_creds": "/c", "nats_tls_cert": "/x", "nats_tls_key": "/y"},
        *({"lease": text} for text in ("", "10m", "600s", "36h", "30d")),
        {"mtu": 1280},
        {"ipam": "static", "private_address": "fd10:7::"},
        {"ipam_reserved": ["fd10::/32", "fd10:ff00::/24"]},
        {"endpoints": ["192.0.2.1:51820", "[2001:db8::1]:51820", "[fe80::1%eth0]:1"]},
        {"observers": ["hosts", "exec=/usr/local/bin/hook", "exec=another, with = and ,"]},
        {"wg_dev_name": "a" * 15, "name": "näme"},
    ],
    ids=str,
)
def test_valid_values_are_accepted_unchanged(tmp_path: Path, document: dict[str, Any]) -> None:
    config = load(tmp_path, {"private_address": "auto", **document})
    values = {name: getattr(config, name) for name in document}
    assert values == {name: tuple(value) if isinstance(value, list) else value for name, value in document.items()}


def wrong_types() -> list[tuple[str, Any]]:
    texts = [(name, 5) for name, value in OF_0_3_0.items() if isinstance(value, str)]
    numbers = [(name, "5") for name in ("subnet_prefix", "wg_port", "persistent_keepalive", "fwmark", "mtu")]
    anywhere = [(name, value) for name in SETTINGS for value in ({"a": [1]}, 1.5)]
    return [*texts, *numbers, *anywhere, ("wg_port", True), ("keep_foreign_peers", 1), ("endpoints", "192.0.2.1:1")]


OUT_OF_RANGE: list[tuple[str, Any]] = [
    ("name", "a" * 256),
    ("name", "a\nb"),
    ("name", "\ud800"),
    *(("advertise_address", text) for text in ("host.example", "0.0.0.0", "::", "ff02::1", "192.0.2.1:1")),  # noqa: S104
    *(("private_address", text) for text in ("", "fd10:1::/48", "fd11::", "10.0.0.1", "AUTO", "nonsense")),
    *(("subnet_prefix", number) for number in (-1, 15, 129, 10**30)),
    *(("mesh_cidr", text) for text in ("", "fd10::", "fd10::1/129", "10.0.0.0/33", "fd10::/x")),
    *(("netns", text) for text in (".", "..", "a/b", "a b", "blue\n", "../blue")),
    *(("wg_dev_name", text) for text in ("", ".", "..", "a b", "a/b", "a:b", "wg%d", "a" * 16, "ä" * 8, "wg0\n")),
    *(("wg_port", number) for number in (0, -1, 65536, 70000)),
    ("private_key_path", ""),
    ("private_key_path", "/etc/\0"),
    *(
        ("nats_url", text)
        for text in ("http://h", "nats://", "nats://h:0", "nats://h:99999", "nats:/h", "nats:", "h:x")
    ),
    *(("nats_url", text) for text in ("nats://a b", "a/b", "nats://a,ws://b", "nats://[::1")),
    *(("nats_kv", text) for text in ("", "a.b", "a b", "ü", "ikto-mesh\n")),
    *(("backend", text) for text in ("", "Netlink", "net link")),
    ("ipam", "no_such"),
    *(("mtu", value) for value in (1279, 65536, "Auto")),
    *(("persistent_keepalive", number) for number in (-1, 65536)),
    *(("lease", text) for text in ("24", "599s", "31d", "0h", "-1d", "1.5h", "1 h", "24h\n", "9999999d")),
    *(("fwmark", number) for number in (-1, 2**32)),
    *(("endpoints", [text]) for text in ("h.example:1", "192.0.2.1", "2001:db8::1:51820", "192.0.2.1:0", "0.0.0.0:1")),
    ("endpoints", ["192.0.2.1:1"] * 17),
    *(("observers", texts) for texts in (["Hosts"], ["=x"], [""], ["hosts", "hosts"], ["exec=/a\n"])),
]


@pytest.mark.parametrize(("setting", "value"), [*wrong_types(), *OUT_OF_RANGE])
def test_an_invalid_value_is_one_problem_with_setting_file_and_advice(tmp_path: Path, setting: str, value: Any) -> None:
    (problem,) = problems_of(tmp_path, {setting: value})
    assert problem.startswith(f"{setting}: ")
    assert f" (in {tmp_path}/ikto.json); give " in problem
    assert problem.isprintable()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"wg_port": 70000}, "wg_port: 70000 is not a port (in {}); give 1 to 65535"),
        (
            {"private_address": "fd11::"},
            'private_address: "fd11::" is outside the mesh (in {}); give one inside fd10::/16',
        ),
        (
            {"mesh_cidr": "10.0.0.0/8", "subnet_prefix": 24, "private_address": "10.255.255.255"},
            'private_address: "10.255.255.255" is the broadcast address of 10.0.0.0/8 (in {}); give another address',
        ),
        (
            {"mesh_cidr": "10.0.0.0/8"},
            "subnet_prefix: 48 is longer than an address of the mesh (the default); give 8 to 32 for 10.0.0.0/8",
        ),
        (
            {"subnet_prefix": 12},
            "subnet_prefix: 12 is shorter than the mesh's own prefix (in {}); give 16 to 128 for fd10::/16",
        ),
        ({"wg_prot": 1}, "wg_prot: is not a known setting (in {}); did you mean wg_port?"),
        ({"Record-Trust": 1}, '"Record-Trust": is not a known setting (in {}); did you mean record_trust?'),
        (
            {"advertise_address": "fd10::1"},
            'advertise_address: "fd10::1" is inside the mesh (in {}); give one that peers reach without it',
        ),
        (
            {"ipam": "static"},
            (
                'private_address: "auto" needs an ipam that proposes subnets, which "static" does not (in {}); '
                'give the address to use, or another ipam such as "random"'
            ),
        ),
        (
            {"ipam_reserved": ["fd10:1::/32", "fd11::/32"]},
            'ipam_reserved: "fd11::/32" is outside the mesh (in {}); give networks inside fd10::/16',
        ),
        (
            {"ipam_reserved": ["fd10:1::/32", "fd10:1::1/32"]},
            'ipam_reserved: "fd10:1::1/32" is not a network (in {}); give fd10:1::/32',
        ),
        (
            {"endpoints": ["192.0.2.1:1", "[fd10::1]:1"]},
            'endpoints: "[fd10::1]:1" is inside the mesh (in {}); give one that peers reach without it',
        ),
    ],
)
def test_the_text_of_problems(tmp_path: Path, document: dict[str, Any], words: str) -> None:
    assert problems_of(tmp_path, document) == (words.format(tmp_path / "ikto.json"),)


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    document = {"wg_port": 0, "nats_kv": "a.b", "persistent_keepalives": 1, "endpoints": ["x", "192.0.2.1:1", "y"]}
    problems = problems_of(tmp_path, document, IKTO_FWMARK="x", IKTO_MTUU="1400")
    names = [problem.partition(":")[0] for problem in problems]
    assert names == ["persistent_keepalives", "wg_port", "nats_kv", "fwmark", "endpoints", "endpoints"]


def test_many_unknown_settings_are_reported_in_a_few_lines(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, {f"wg_port{number}": 0 for number in range(1_000)})
    assert problems[-1] == "…and 980 more of these"
    assert len(problems) == 21


def test_flags_override_the_environment_which_overrides_the_file_which_overrides_defaults(tmp_path: Path) -> None:
    path = tmp_path / "ikto.json"
    path.write_text(json.dumps({"private_address": "auto", "name": "file", "nats_kv": "file", "wg_dev_name": "file"}))
    environ = {"IKTO_NAME": "environ", "IKTO_NATS_KV": "environ"}
    config = load_config(path, environ=environ, overrides={"name": "flag"})
    assert (config.name, config.nats_kv, config.wg_dev_name, config.ipam) == ("flag", "environ", "file", "random")


def test_text_is_converted_to_the_type_of_the_setting(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        {"private_address": "auto"},
        IKTO_WG_PORT="7",
        IKTO_MTU="1400",
        IKTO_KEEP_FOREIGN_PEERS="1",
        IKTO_ENDPOINTS="192.0.2.1:1, 192.0.2.2:2",
        IKTO_NAME="5",
        IKTO_OBSERVERS="hosts,exec=/hook",
    )
    assert config.observers == ("hosts", "exec=/hook")
    assert (config.wg_port, config.mtu, config.keep_foreign_peers, config.name) == (7, 1400, True, "5")
    assert config.endpoints == ("192.0.2.1:1", "192.0.2.2:2")


@pytest.mark.parametrize(
    ("setting", "text"),
    [("wg_port", " "), ("wg_port", "7x"), ("fwmark", "9" * 5000), ("keep_foreign_peers", "maybe"), ("mtu", "none")],
)
def test_invalid_text_is_a_problem_with_the_name_of_its_variable(tmp_path: Path, setting: str, text: str) -> None:
    variable = f"IKTO_{setting.upper()}"
    (problem,) = problems_of(tmp_path, {}, **{variable: text})
    assert problem.startswith(f"{setting}: ")
    assert f" (from {variable}); give " in problem


def test_no_variable_that_is_none_of_ours_or_empty_stops_an_agent(tmp_path: Path) -> None:
    environ = {"IKTO_NATS_SERVER": "x", "IKTO_SOCKET": "x", "WG_PROT": "x", "IKTO_WG_PROT": "1", "IKTO_MTU": ""}
    config = load(tmp_path, {"private_address": "auto", "mtu": 1400, "wg_port": 7}, **environ)
    assert (config.nats_url, config.mtu, config.wg_port) == ("nats://127.0.0.1:4222", 1400, 7)
    assert environ_warnings(environ) == (
        "IKTO_MTU: is empty (in the environment); it is ignored",
        "IKTO_WG_PROT: is not a known variable; did you mean IKTO_WG_PORT? (in the environment); it is ignored",
    )


def test_variables_that_kubernetes_makes_of_a_service_are_ignored(tmp_path: Path) -> None:
    service = {"IKTO_WG_SERVICE_HOST": "10.0.0.1", "IKTO_WG_PORT_51820_UDP_PROTO": "udp", "IKTO_PORT": "tcp://x:1"}
    environ = {**service, "IKTO_WG_PORT": "udp://10.0.0.1:51820"}
    assert load(tmp_path, {"private_address": "auto", "wg_port": 7}, **environ).wg_port == 7
    assert environ_warnings(environ) == (
        "IKTO_WG_PORT: describes a service of Kubernetes (in the environment); it is ignored",
    )
    assert load(tmp_path, {"private_address": "auto", "wg_port": 7}, **service, IKTO_WG_PORT="8").wg_port == 8
    (problem,) = problems_of(tmp_path, {}, IKTO_WG_PORT="udp://10.0.0.1:51820")
    assert problem.startswith("wg_port: ")


def test_an_invalid_flag_is_named_as_typed() -> None:
    with pytest.raises(ConfigError, match=r"wg_port: \"x\" is not a port \(from --wg-port\); give 1 to 65535"):
        config_from_flags({"private_address": "auto", "wg_port": "x"})


CREDENTIALS = {
    "nats_creds": {"nats_creds": "/c"},
    "nats_user": {"nats_user": "u", "nats_password": "p"},
    "nats_token": {"nats_token": "t"},
    "nats_nkey_seed": {"nats_nkey_seed": "/s"},
    "nats_url": {"nats_url": "nats://u:p@h"},
}


@pytest.mark.parametrize("one", CREDENTIALS)
@pytest.mark.parametrize("other", CREDENTIALS)
def test_only_one_way_to_authenticate_can_be_given(tmp_path: Path, one: str, other: str) -> None:
    document = {"private_address": "auto", **CREDENTIALS[one], **CREDENTIALS[other]}
    if one == other or {one, other} == {"nats_creds", "nats_url"}:  # the second as in 0.3.0
        assert load(tmp_path, document).private_address == "auto"
    else:
        (problem,) = problems_of(tmp_path, document)
        assert one in problem
        assert other in problem


@pytest.mark.parametrize(("setting", "text"), [("nats_domain", "hub-1"), ("nats_api_prefix", "MESH.API")])
def test_a_domain_or_a_prefix_of_the_jetstream_api_can_be_given(tmp_path: Path, setting: str, text: str) -> None:
    assert getattr(load(tmp_path, {"private_address": "auto", setting: text}), setting) == text


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"nats_domain": "a.b"}, 'nats_domain: "a.b" is not a JetStream domain'),
        ({"nats_api_prefix": "MESH.>"}, 'nats_api_prefix: "MESH.>" is not a prefix of subjects'),
        ({"nats_api_prefix": "MESH.API."}, "; give MESH.API"),
        ({"nats_domain": "hub", "nats_api_prefix": "M"}, "nats_api_prefix: is given beside nats_domain"),
    ],
)
def test_a_domain_or_prefix_that_makes_no_sense_is_a_problem(
    tmp_path: Path, document: dict[str, str], words: str
) -> None:
    (problem,) = problems_of(tmp_path, {"private_address": "auto", **document})
    assert words in problem


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("nats_user", "nats_password"),
        ("nats_password", "nats_user"),
        ("nats_tls_cert", "nats_tls_key"),
        ("nats_tls_key", "nats_tls_cert"),
    ],
)
def test_settings_that_need_each_other_must_both_be_given(tmp_path: Path, given: str, missing: str) -> None:
    (problem,) = problems_of(tmp_path, {given: "x"})
    where = f"(in {tmp_path}/ikto.json)"
    assert problem == f"{given}: is given without {missing} {where}; give both or neither"
