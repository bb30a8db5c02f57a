"""A record may say that its node is about to leave; without that it is as before, and junk there is ignored."""

import json

import pytest
from msgspec.structs import replace

from ikto_core.mesh.records import decode_record, encode_record
from ikto_core.mesh.view import MeshView
from tests.mesh.test_view_properties import RULES
from tests.samples import entries_of, record

NODE = record("10.0.0.32/28")


def test_it_is_written_only_where_it_is_true() -> None:
    assert "draining" not in json.loads(encode_record(NODE))
    value = encode_record(replace(NODE, draining=True))
    assert json.loads(value)["draining"] is True
    assert decode_record(NODE.key, value).draining


@pytest.mark.parametrize("junk", ["yes", 1, None, {}, "true"])
def test_junk_in_its_place_is_ignored(junk: object) -> None:
    value = json.dumps({**json.loads(encode_record(NODE)), "draining": junk}).encode()
    assert decode_record(NODE.key, value) == NODE


def test_a_peer_drains_by_its_latest_record() -> None:
    view = MeshView(RULES)
    [peer] = view.update(entries_of(replace(NODE, draining=True)))
    assert view.peers[peer].draining
    view.update(entries_of(NODE, since=2))
    assert not view.peers[peer].draining
