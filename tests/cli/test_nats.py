"""`ikto nats` prints users and their permissions, and refuses nodes that would share what must be theirs alone."""

import json
from pathlib import Path

import pytest

from ikto_core.cli.main import run
from ikto_core.mesh.records import record_key
from ikto_core.store.inbox import inbox_of_node
from tests.printed import printed
from tests.store.credentials import ACCOUNT, Nkey


def test_without_nodes_it_is_the_configured_one(tmp_path: Path) -> None:
    text = printed(tmp_path, ("permissions",), (), name="own", private_address="fd10:7::1")
    assert 'user: "own", password: $IKTO_PASSWORD_OWN' in text
    assert f'"$KV.b.{record_key("fd10:7::/48")}"' in text


def test_a_node_that_may_claim_any_subnet_is_marked(tmp_path: Path) -> None:
    text = printed(tmp_path, ("accounts",), ("a=auto", "b=fd10:2::"))
    assert text.count('private_address is "auto": this node may write every record') == 1
    assert '{ service: "$KV.b.peers.>", accounts: ["IKTO_NODE_a"] }' in text


def test_leases_add_the_permissions_to_renew_them(tmp_path: Path) -> None:
    key = record_key("fd10:2::/48")
    assert "leases" not in printed(tmp_path, ("permissions",), ("b=fd10:2::",))
    text = printed(tmp_path, ("permissions",), ("b=fd10:2::",), lease="24h")
    assert f'"$KV.b-leases.{key}"' in text
    assert '"$JS.API.STREAM.MSG.GET.KV_b-leases"' in text


def test_the_configured_prefix_is_the_one_of_the_imports(tmp_path: Path) -> None:
    text = printed(tmp_path, ("accounts",), ("b=fd10:2::",), nats_api_prefix="X.Y")
    assert 'to: "X.Y.STREAM.INFO.KV_b" }' in text
    assert "MESH.API" not in text


def test_a_user_with_a_jwt_may_write_its_record_by_the_name_that_other_nodes_know(tmp_path: Path) -> None:
    subject, command = f"$KV.b.{record_key('fd10:2::/48')}", ("permissions", "--nsc", "MESH")
    trust = {"record_trust": f"account:{Nkey(ACCOUNT).public}"}
    elsewhere = printed(tmp_path, command, ("b=fd10:2::",), nats_domain="hub")
    assert f"'$JS.hub.API.{subject}," in elsewhere
    assert f",{subject}" not in elsewhere
    assert f",{subject}' " in printed(tmp_path, command, ("b=fd10:2::",), nats_domain="hub", **trust)
    assert printed(tmp_path, command, ("b=fd10:2::",), **trust).count(subject) == 1


def test_the_inbox_is_the_one_that_the_agent_uses(tmp_path: Path) -> None:
    assert f'"{inbox_of_node("näme.a")}.>"' in printed(tmp_path, ("accounts",), ("näme.a=fd10:2::",))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("a.b=fd10:1::", "a_b=fd10:2::"), 3, "'a.b' and 'a_b' would share an account or a password"),
        (("a-b=fd10:1::", "A_B=fd10:2::"), 3, "'a-b' and 'A_B' would share an account or a password"),
        (("ikto-admin=fd10:1::",), 3, "would share an account or a password"),
        (("a=fd11::",), 3, "a: fd11:: is outside the mesh fd10::/16"),
        (("a=fd10",), 3, 'give an address of the mesh, or "auto"'),
        (("a",), 2, "'a' is not of the form NAME=ADDRESS"),
        (("a=fd10:1::", "--nkey", "b=U"), 3, "--nkey: 'b' is not one of the nodes"),
        (("a=fd10:1::", "--nkey", "a=SUAB"), 3, "--nkey: a: this is not the public key of a NATS user"),
        (("a=fd10:1::", "a=fd10:2::"), 2, "'a' is given twice"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, words: str
) -> None:
    config = tmp_path / "ikto.json"
    config.write_text(json.dumps({"private_address": "auto"}))
    for command in ("permissions", "accounts"):
        assert run(["nats", command, "-c", str(config), *arguments]) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert words in err
        assert "SUAB" not in err
