"""Every setting has an effect that is said, and only settings that differ are named."""

from ikto_core.config import SETTINGS, config_of
from ikto_core.diagnosis.consequences import EFFECTS, effects, setting_changes, uncompared


def shown(**settings: object) -> dict[str, object]:
    return config_of(**({"private_address": "fd10:1::1"} | settings)).shown()


def test_every_setting_has_an_effect() -> None:
    assert EFFECTS.keys() == SETTINGS.keys()


def test_equal_configurations_differ_in_nothing() -> None:
    assert setting_changes(shown(), shown()) == []
    assert setting_changes({**shown(), "observers": []}, shown()) == []  # as JSON has it


def test_settings_that_differ_are_named_in_order() -> None:
    found = setting_changes(shown(), shown(wg_port=1, private_address="fd10:2::1", lease="24h"))
    assert [(change.setting, change.before, change.after) for change in found] == [
        ("private_address", "fd10:1::1", "fd10:2::1"),
        ("wg_port", 51820, 1),
        ("lease", "", "24h"),
    ]


def test_a_setting_of_another_version_is_a_difference() -> None:
    (found,) = setting_changes({**shown(), "old": 1}, shown())
    assert (found.setting, found.before, found.after) == ("old", 1, None)


def test_secrets_are_hidden_and_said_to_be_uncompared() -> None:
    one, other = (shown(nats_user="u", nats_password=password) for password in ("geheim", "secret"))
    assert "geheim" not in str(one)
    assert setting_changes(one, other) == []
    assert uncompared(one, other) == ["nats_password"]
    (found,) = setting_changes(shown(nats_url="nats://h:1"), shown(nats_url="nats://u:geheim@h:1"))
    assert found.after == "(hidden)@h:1"


def test_each_part_is_said_to_stay_or_to_change_once() -> None:
    found = effects(["endpoints", "advertise_address"])
    assert found == {
        "claim": ["the subnet stays claimed"],
        "record": ["the record is written again, and peers follow it"],
        "device": ["the device stays, with its sessions"],
        "NATS": ["the connection is made as before"],
    }
    assert effects(["nats_url"])["NATS"] == ["the connection is made to one of these servers"]
    assert "agent" in effects(["observers"])
