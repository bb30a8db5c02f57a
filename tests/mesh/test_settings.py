"""The mesh's own settings decode as they were encoded, and malformed settings count as missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.mesh.settings import MeshSettings, read_settings
from ikto_core.mesh.view import Entry

SETTINGS = MeshSettings("fd10::/16", 48)


def test_encoded_settings_decode_to_the_same_settings() -> None:
    assert read_settings(Entry(1, SETTINGS.encode())) == SETTINGS


def test_the_encoded_settings_are_the_same_in_every_version() -> None:
    assert SETTINGS.encode() == b'{"mesh_cidr":"fd10::/16","subnet_prefix":48}'


@pytest.mark.parametrize("entry", [None, Entry(1, None)])
def test_missing_settings_are_none(entry: Entry | None) -> None:
    assert read_settings(entry) is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        SETTINGS.encode()[:-1],
        b'{"mesh_cidr":"fd10::/16","subnet_prefix":"48"}',
        b'{"mesh_cidr":16,"subnet_prefix":48}',
        b'{"mesh_cidr":"\xff","subnet_prefix":48}',
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 100_000,
    ],
    ids=lambda value: repr(value[:30]),
)
def test_malformed_settings_are_none(value: bytes) -> None:
    assert read_settings(Entry(1, value)) is None


@given(st.binary(max_size=100))
def test_reading_settings_never_raises(value: bytes) -> None:
    assert read_settings(Entry(1, value)) is None


def test_unknown_members_of_settings_are_ignored() -> None:
    assert read_settings(Entry(1, SETTINGS.encode()[:-1] + b',"name":"m"}')) == SETTINGS


def test_each_difference_is_reported_with_both_values() -> None:
    assert SETTINGS.differences(SETTINGS) == []
    assert SETTINGS.differences(MeshSettings("fd10::/16", 64)) == ["subnet_prefix is 48, not 64"]
    assert SETTINGS.differences(MeshSettings("10.0.0.0/8", 24)) == [
        "mesh_cidr is 'fd10::/16', not '10.0.0.0/8'",
        "subnet_prefix is 48, not 24",
    ]
