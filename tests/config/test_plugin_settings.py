"""Settings of plugins in the configuration: objects by name, and single ones from the environment."""

import json
from pathlib import Path

import pytest

from ikto_core.config import Config, environ_warnings, load_config
from ikto_core.errors import ConfigError


def plugins_of(tmp_path: Path, plugins: object, **environ: str) -> object:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"private_address": "auto", "plugins": plugins}))
    return load_config(path, environ=environ, overrides={}).plugins


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("/etc/wg", "/etc/wg"),
        ("7", 7),
        ("true", True),
        ('"7"', "7"),
        ('["a"]', ["a"]),
        ("NaN", "NaN"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_the_value_of_a_variable_is_json_or_else_a_text(tmp_path: Path, text: str, value: object) -> None:
    assert plugins_of(tmp_path, {}, IKTO_PLUGINS__MY_CONF__SOME_DIR=text) == {"my-conf": {"some_dir": value}}


def test_the_whole_object_can_be_given_as_json(tmp_path: Path) -> None:
    environ = {"IKTO_PLUGINS": '{"a": {"x": 1}}', "IKTO_PLUGINS__A__Y": "2", "IKTO_PLUGINS__B__Z": ""}
    assert plugins_of(tmp_path, {"c": {}}, **environ) == {"a": {"x": 1, "y": 2}}
    flag = load_config(None, environ=environ, overrides={"plugins": '{"f": {}}', "private_address": "auto"})
    assert flag.plugins == {"f": {}}


@pytest.mark.parametrize("wrong", [[], "x", {"conf": 5}, {"conf": []}])
def test_what_is_no_object_of_objects_is_an_error(tmp_path: Path, wrong: object) -> None:
    for environ in ({}, {"IKTO_PLUGINS__CONF__X": "1"}):
        with pytest.raises(ConfigError, match=r"plugins: .* is not an object of objects .* give the settings of each"):
            plugins_of(tmp_path, wrong, **environ)


def test_a_text_that_is_no_object_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, environ={"IKTO_PLUGINS": '{"a": {"token": "secret"}'}, overrides={"private_address": "auto"})
    assert "secret" not in str(caught.value)


def test_a_variable_that_names_no_setting_is_warned_of() -> None:
    environ = {"IKTO_PLUGINS__CONF": "1", "IKTO_PLUGINS__CONF__EMPTY": "", "IKTO_PLUGINS__CONF__X": "1"}
    assert environ_warnings(environ) == (
        "IKTO_PLUGINS__CONF: does not have the form IKTO_PLUGINS__NAME__SETTING (in the environment); it is ignored",
        "IKTO_PLUGINS__CONF__EMPTY: is empty (in the environment); it is ignored",
    )


def test_a_configuration_that_is_printed_has_no_values_of_plugins() -> None:
    assert repr(Config(plugins={"conf": {"token": "secret", "a": 1}})).count("plugins={'conf': ['a', 'token']}") == 1
