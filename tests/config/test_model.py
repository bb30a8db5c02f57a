"""The configuration record: derived values, hidden secrets, JSON Schema and default paths."""

from ipaddress import ip_interface
from pathlib import Path

import pytest

from ikto_core.config import SETTINGS, Config, config_from_flags, config_schema
from ikto_core.errors import ConfigError
from ikto_core.values.addressing import Endpoint, Prefix


@pytest.mark.parametrize(
    "document",
    [
        {"nats_user": "u", "nats_password": "geheim"},
        {"nats_token": "geheim"},
        {"nats_url": "nats://u:geheim@h:4222,nats://u:geheim@i:4222"},
    ],
)
def test_secrets_are_never_printed(document: dict[str, str]) -> None:
    config = config_from_flags({"private_address": "auto", **document})
    assert "geheim" not in f"{config} {config!r} {config.__rich_repr__()}"
    with pytest.raises(ConfigError) as caught:
        config_from_flags({name: f"{value}\n" for name, value in document.items()})
    assert "geheim" not in f"{caught.value} {caught.value.problems}"


@pytest.mark.parametrize("url", ["tls://u:geheim/h:4222", "nats://u:geheim", "nats://h:1,nats://u:geheim"])
def test_the_password_of_a_url_without_a_host_is_not_printed(url: str) -> None:
    with pytest.raises(ConfigError, match=r"u:\(hidden\)") as caught:
        config_from_flags({"private_address": "auto", "nats_url": url})
    assert "geheim" not in f"{caught.value} {caught.value.problems}"


@pytest.mark.parametrize("url", ["http://h:4222/x", "nats://a:1, nats://b:22,http://c", "nats://[::1", "h:x"])
def test_a_url_without_a_password_is_printed_as_it_is(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_flags({"private_address": "auto", "nats_url": url})
    assert f'"{url}"' in str(caught.value)


def test_the_schema_describes_every_setting() -> None:
    schema = config_schema()["$defs"]["Config"]
    assert list(schema["properties"]) == list(SETTINGS)
    assert all(setting["description"] and "default" in setting for setting in schema["properties"].values())
    assert (schema["required"], schema["additionalProperties"]) == (["private_address"], False)
    assert schema["properties"]["wg_port"]["maximum"] == 65535


def test_derived_values_are_parsed_from_the_settings() -> None:
    config = Config(
        private_address="fd10:1:2::77",
        advertise_address="2001:DB8::0",
        endpoints=("192.0.2.1:1",),
        mtu=1400,
        nats_url="nats://a, nats://b",
    )
    assert config.mesh == Prefix.parse("fd10::/16")
    assert config.subnet == Prefix.parse("fd10:1:2::/48")
    assert config.interface == ip_interface("fd10:1:2::77/16")
    assert config.advertised == "2001:db8::"
    assert config.advertised_endpoints == (Endpoint("192.0.2.1", 1),)
    assert config.device_mtu == 1400
    assert config.nats_servers == ["nats://a", "nats://b"]


@pytest.mark.parametrize(("text", "seconds"), [("", 0), ("3s", 3), ("90m", 5400), ("24h", 86400), ("7d", 604800)])
def test_a_lease_is_converted_to_seconds(text: str, seconds: int) -> None:
    assert Config(lease=text).lease_s == seconds


def test_values_detected_at_run_time_are_none() -> None:
    config = Config(private_address="auto", advertise_address="auto")
    assert (config.subnet, config.interface, config.advertised, config.device_mtu) == (None, None, None, None)


@pytest.mark.parametrize(
    ("uid", "environ", "path"),
    [
        (0, {"HOME": "/root"}, "/var/lib/ikto/wg7"),
        (1, {"HOME": "/home/a"}, "/home/a/.local/state/ikto/wg7"),
        (1, {"HOME": "/home/a", "XDG_STATE_HOME": "/s"}, "/s/ikto/wg7"),
        (1, {"HOME": "/home/a", "XDG_STATE_HOME": "relative"}, "/home/a/.local/state/ikto/wg7"),
    ],
)
def test_each_device_has_its_own_state_directory(uid: int, environ: dict[str, str], path: str) -> None:
    assert Config(wg_dev_name="wg7").state_path(environ=environ, uid=uid) == Path(path)
    elsewhere = Config(wg_dev_name="wg7", netns="blue").state_path(environ=environ, uid=uid)
    assert elsewhere == Path(f"{path}@blue")
    assert Config(state_dir="/x").state_path(environ=environ, uid=uid) == Path("/x")


def test_no_home_for_the_state_directory_is_an_error() -> None:
    with pytest.raises(ConfigError, match="state_dir"):
        Config().state_path(environ={}, uid=1)


def test_the_default_backend_is_netlink() -> None:
    assert Config().backend == "netlink"
