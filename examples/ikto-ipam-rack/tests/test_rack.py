"""The strategy `rack` keeps Ikto's contract except I6, and maps each location to its own subnet."""

from collections.abc import Mapping
from typing import ClassVar

import pytest

from ikto_core.plugins import ConfigError, IpamPlugin, Prefix, load_plugins
from ikto_core.testing import IpamContract, ask
from ikto_ipam_rack import RackStrategy


class TestRack(IpamContract):
    unsupported: ClassVar[Mapping[str, str]] = {"I6": "a location has one subnet; the others are for other locations"}
    deterministic = True
    names = ("r0-u01", "r3-u63", "r12-u07", "r12-u07.dc1.example")
    unservable = (
        "",
        "web-7",
        "r12",
        "r12-u0",
        "r12-u64",
        "r12-u7x",
        "xr12-u7",
        "r12-u07\n",
        "r-1-u7",
        "r१-u७",
        "r1-u007",
    )

    @pytest.fixture
    def plugin(self) -> IpamPlugin:
        """Load the plugin as the agent does: through the entry point of the installed distribution."""
        return load_plugins().ipam("rack")


def subnets_of(name: str, mesh: str = "fd10::/16", length: int = 48, taken: tuple[str, ...] = ()) -> list[str]:
    request = ask(mesh, length, map(Prefix.parse, taken), name=name)
    return [str(subnet) for subnet in RackStrategy().candidates(request)]


@pytest.mark.parametrize(
    ("name", "subnet"),
    [
        ("r0-u01", "fd10:0:1::/48"),
        ("r12-u07", "fd10:0:307::/48"),  # 12 * 64 + 7 = 0x307
        ("r12-u7.dc1.example", "fd10:0:307::/48"),
        ("r67108863-u63", "fd10:ffff:ffff::/48"),
    ],
)
def test_a_location_has_one_subnet(name: str, subnet: str) -> None:
    assert subnets_of(name) == [subnet]


def test_a_rack_is_one_prefix() -> None:
    rack = Prefix.parse("fd10:0:300::/42")
    assert all(rack.covers(Prefix.parse(*subnets_of(f"r12-u{position}"))) for position in range(1, 64))


def test_no_two_locations_share_a_subnet() -> None:
    names = [f"r{rack}-u{position}" for rack in range(4) for position in range(1, 64)]
    assert len({tuple(subnets_of(name, "10.0.0.0/16", 24)) for name in names}) == len(names)


@pytest.mark.parametrize("taken", ["fd10:0:307::/48", "fd10:0:307::1/128", "fd10:0:300::/42"])
def test_a_taken_location_has_no_candidates(taken: str) -> None:
    assert subnets_of("r12-u07", taken=(taken,)) == []


def test_a_rack_outside_the_mesh_is_an_error() -> None:
    assert subnets_of("r3-u63", "10.0.0.0/16", 24) == ["10.0.255.0/24"]
    with pytest.raises(
        ConfigError, match=r"name: 'r4-u01' is outside the mesh 10.0.0.0/16, which has room for 4 racks"
    ):
        subnets_of("r4-u01", "10.0.0.0/16", 24)
    with pytest.raises(ConfigError, match="room for 1 racks"):
        subnets_of("r0-u16", "10.0.0.0/16", 20)


def test_a_name_without_a_location_is_an_error_with_a_hint() -> None:
    with pytest.raises(ConfigError, match="name: 'web-7' contains no rack and position") as caught:
        subnets_of("web-7")
    assert "r12-u07" in caught.value.hint
    assert caught.value.exit_code == 3
