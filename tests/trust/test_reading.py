"""One node with the documented permissions, and nothing more, publishes what nobody can read: it harms only itself."""

import json

import pytest

from tests.trust.attacked_mesh import (
    HEADER_BLOCKS,
    AttackedMesh,
    assert_all_follow_and_a_newcomer_joins,
    attackers_record,
)


@pytest.mark.e2e
@pytest.mark.parametrize("header_block", HEADER_BLOCKS.values(), ids=HEADER_BLOCKS.keys())
def test_a_record_with_an_odd_header_block_harms_nobody(mesh: AttackedMesh, header_block: bytes) -> None:
    mesh.write_own(header_block, attackers_record())
    assert_all_follow_and_a_newcomer_joins(mesh)


@pytest.mark.e2e
def test_answers_on_the_push_subject_harm_nobody_and_fill_no_log(mesh: AttackedMesh) -> None:
    """The reply subject of a request is held to no permission: the server publishes the answer there."""
    info, page = f"$JS.API.STREAM.INFO.KV_{mesh.name}", f"$JS.API.DIRECT.GET.KV_{mesh.name}"
    pushes = f"ikto.{mesh.name}.".encode()
    for odd in (b"\xff\xfe", b"\x0b1", b"x.\x0c"):
        mesh.have_answered(info, b"", pushes + odd)
    mesh.have_answered(info, b"", pushes + b"x", times=200)
    request = json.dumps({"seq": 1, "batch": 1000, "next_by_subj": f"$KV.{mesh.name}.>"}).encode()
    mesh.have_answered(page, request, pushes + b"x", times=20)
    assert_all_follow_and_a_newcomer_joins(mesh)
    for agent in mesh.agents[:2]:
        assert agent.admin.status().counters.follower.junk_pushes > 200
        assert len([line for line in agent.log_text().splitlines() if "dropped messages" in line]) == 1
