"""An operator names a node by its name, subnet, address or key; a name of several nodes is refused with their keys."""

import pytest
from msgspec.structs import replace

from ikto_core.errors import IktoError
from ikto_core.roster.listing import NodeRecord
from ikto_core.roster.selection import records_meant, require_one_node


def node(allowed_ip: str, name: str, public_key: str) -> NodeRecord:
    return NodeRecord(key=f"peers.{allowed_ip}", revision=1, allowed_ip=allowed_ip, name=name, public_key=public_key)


ONE = node("10.0.0.16/28", "one", "K1")
MOVED = node("10.0.0.32/28", "one", "K1")
OTHER = replace(node("fd10:7::/48", "other", "K2"), endpoints=("192.0.2.7:51820",))
LIAR = node("10.0.1.32/28", "fd10:7::1", "K6")
TWIN = node("10.0.0.64/28", "other", "K3")
ALL = [ONE, MOVED, OTHER, TWIN]
KEYED = node("10.0.1.0/28", "keyed", "abcdefgh1234=")
NAMED_SO = node("10.0.1.16/28", "abcdefgh", "K5")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("one", [ONE, MOVED]),
        ("K1", [ONE, MOVED]),
        ("10.0.0.32/28", [MOVED]),
        ("10.0.0.33/28", [MOVED]),
        ("10.0.0.17", [ONE]),
        ("fd10:0007:0::/48", [OTHER]),
        ("fd10:7::1", [OTHER]),
        ("peers.10.0.0.16/28", [ONE]),
        ("192.0.2.7", [OTHER]),
        ("192.0.2.7:51820", [OTHER]),
    ],
)
def test_what_is_meant(text: str, meant: list[NodeRecord]) -> None:
    assert records_meant(ALL, text) == meant
    require_one_node(meant, text)


def test_a_node_that_calls_itself_by_anothers_address_is_not_taken_for_it() -> None:
    assert records_meant([LIAR, *ALL], "fd10:7::1") == [OTHER]


@pytest.mark.parametrize("text", ["", "…", "nobody", "10.0.0.16/27", "10.1.0.1", "k1", "peers.x"])
def test_what_nobody_has(text: str) -> None:
    with pytest.raises(IktoError, match=r"no record in the bucket has the .*'") as raised:
        records_meant(ALL, text)
    assert raised.value.hint


def test_a_name_of_several_nodes_is_refused_with_their_keys() -> None:
    with pytest.raises(IktoError, match=r"'other' is 2 nodes, so nothing was done: K2 has fd10:7::/48; K3 has 10.0.0"):
        require_one_node(records_meant(ALL, "other"), "other")


@pytest.mark.parametrize("text", ["abcdefgh…", "abcdefgh", "abcd"])
def test_the_beginning_of_a_key_will_do_as_the_table_shows_it(text: str) -> None:
    assert records_meant([*ALL, KEYED], text) == [KEYED]


def test_a_name_comes_before_the_beginning_of_a_key_and_three_letters_are_none() -> None:
    assert records_meant([KEYED, NAMED_SO], "abcdefgh") == [NAMED_SO]
    with pytest.raises(IktoError, match="no record"):
        records_meant([KEYED], "abc")


def test_of_many_nodes_a_few_are_named() -> None:
    twins = [node(f"10.0.{number}.0/28", "one", f"K{number}") for number in range(100)]
    with pytest.raises(IktoError, match=r"is 100 nodes, .*K4 has 10\.0\.4\.0/28; and 95 more$"):
        require_one_node(twins, "one")
