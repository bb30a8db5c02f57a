"""A NATS server with an address inside the mesh is recognised, unless it is reached through the mesh."""

import pytest

from ikto_core.store.inside_mesh import is_inside, will_be_cut_off
from ikto_core.values.addressing import Prefix

MESH = Prefix.parse("10.0.0.0/8")


@pytest.mark.parametrize(
    ("mesh", "address", "inside"),
    [
        ("10.0.0.0/8", "10.255.255.255", True),
        ("10.0.0.0/8", "11.0.0.0", False),
        ("10.0.0.0/8", "::ffff:10.5.0.9", True),
        ("10.0.0.0/8", "::ffff:11.5.0.9", False),
        ("::/0", "fd10::1", True),
        ("fd10::/16", "fd10:1::9", True),
        ("fd10::/16", "fd11::9", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("fd10::/16", "10.0.0.1", False),
        ("10.0.0.0/8", "::", False),
        ("10.0.0.0/8", "nats.example", False),
        ("10.0.0.0/8", "", False),
    ],
)
def test_an_address_inside_the_mesh_is_recognised(mesh: str, address: str, inside: bool) -> None:
    assert is_inside(Prefix.parse(mesh), address) is inside


def test_a_server_that_is_reached_through_the_mesh_is_not_cut_off() -> None:
    assert will_be_cut_off(MESH, "10.5.0.9", "10.5.0.2", "10.9.0.1"), "from a network inside the mesh's"
    assert will_be_cut_off(MESH, "10.5.0.9", "192.0.2.1", None)
    assert not will_be_cut_off(MESH, "10.5.0.9", "10.9.0.1", "10.9.0.1")
    assert not will_be_cut_off(MESH, "192.0.2.9", "192.0.2.1", None)
