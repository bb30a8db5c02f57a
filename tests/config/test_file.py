"""A file without a valid configuration is a one-line error, whatever it contains."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.config import SETTINGS, load_config
from ikto_core.errors import ConfigError
from ikto_core.lab.unprivileged import as_nobody

MEBIBYTE = 1024 * 1024


def error_of(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ={}, overrides={})
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b'{"name": "a",\n "wg_po', "is not JSON: Unterminated string starting at line 2, column 2"),
        (b'{"name": "a",\n', "is not JSON: Expecting property name enclosed in double quotes at line 2, column 1"),
        (b"name: a\n", "is not JSON: Expecting value at line 1, column 1"),
        (b"{} {}", "is not JSON: Extra data at line 1, column 4"),
        (b'{"name": "\xff"}', "is not UTF-8 text: see byte 11"),
        ("{}".encode("utf-16"), "is not UTF-8 text: see byte 1"),
        (b"[" * 100_000, "is nested too deeply; a configuration is one flat object"),
        (b'{"a":' * 100_000, "is nested too deeply; a configuration is one flat object"),
        (b"[]", "is not a JSON object"),
        (b"null", "is not a JSON object"),
        (b'{"wg_port": NaN}', "has a number that is not valid JSON, or has thousands of digits"),
        (b'{"wg_port": ' + b"9" * 5000 + b"}", "has a number that is not valid JSON, or has thousands of digits"),
        (b" " * (MEBIBYTE + 1), f"is larger than {MEBIBYTE} bytes"),
        (b'{"name": "' + b"a" * 10 * MEBIBYTE + b'"}', f"is larger than {MEBIBYTE} bytes"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_a_file_without_a_json_object_is_a_one_line_error(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "ikto.json"
    path.write_bytes(content)
    assert error_of(path) == f"{path}: {words}"


def test_a_missing_file_is_an_error_with_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "ikto.json"
    with pytest.raises(ConfigError, match="there is no such file") as caught:
        load_config(path, environ={}, overrides={})
    assert caught.value.hint == f"`ikto init -o {path}` writes one"


def test_a_directory_is_an_error(tmp_path: Path) -> None:
    assert error_of(tmp_path) == f"{tmp_path}: is a directory, not a file"


def test_an_unreadable_file_is_an_error_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "ikto.json"
    path.touch(mode=0)
    with as_nobody():
        assert error_of(path) == f"{path}: can't be read: permission denied"


def test_an_invalid_path_is_an_error_with_the_reason(tmp_path: Path) -> None:
    assert "can't be read: File name too long" in error_of(tmp_path / ("a" * 300))


def test_an_endless_file_is_not_read_to_the_end() -> None:
    assert error_of(Path("/dev/zero")) == f"/dev/zero: is larger than {MEBIBYTE} bytes"


def test_an_object_is_no_value_of_a_setting(tmp_path: Path) -> None:
    path = tmp_path / "ikto.json"
    path.write_text('{"private_address": "auto", "wg_port": {"a": 1, "a": 2}, "endpoints": {}}')
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ={}, overrides={})
    port, endpoints = caught.value.problems
    assert port == f"wg_port: an object is not a port (in {path}); give 1 to 65535"
    assert endpoints.startswith("endpoints: an object is not a list of ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def load_or_raise_config_error(path: Path) -> None:
    try:
        lines = [repr(load_config(path, environ={}, overrides={}))]
    except ConfigError as error:
        lines = [str(error), *error.problems]
    assert all(line.isprintable() for line in lines)


@given(document=st.dictionaries(st.sampled_from(list(SETTINGS)) | st.text(), JSON))
def test_any_json_is_a_configuration_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps({"private_address": "auto", **document}))
    load_or_raise_config_error(path)


@given(content=st.binary() | st.text(alphabet='{}[]":,\\u0an1.-e ').map(str.encode))
def test_any_bytes_are_a_configuration_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(content)
    load_or_raise_config_error(path)
