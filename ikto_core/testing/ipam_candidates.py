"""I1 to I6: what a strategy offers, and that it leaves nothing out."""

from collections.abc import Sequence

from msgspec.structs import replace

from ikto_core.ipam.contract import IpamPlugin, IpamRequest
from ikto_core.testing.ipam_base import IpamBase, first_candidates
from ikto_core.testing.ipam_clauses import ipam_clause
from ikto_core.testing.ipam_requests import HUGE, ask, assignable_subnets, cover_without, every_subnet, halves, middle
from ikto_core.values.addressing import Prefix


class OfferClauses(IpamBase):
    """What is promised of the candidates."""

    @ipam_clause("I1")
    def test_candidates_are_subnets_of_the_mesh(self, plugin: IpamPlugin) -> None:
        """Of the mesh's own family and of the length asked for, on their own boundary."""

        def check(asked: IpamRequest, offered: Sequence[Prefix]) -> None:
            for subnet in offered:
                if not _is_whole(subnet):
                    raise AssertionError(f"{subnet!r} is no Prefix without host bits")
                if subnet.length != asked.subnet_prefix or not asked.mesh_cidr.covers(subnet):
                    raise AssertionError(f"{subnet} is no subnet of length {asked.subnet_prefix} of {asked.mesh_cidr}")

        self._on_every_mesh(plugin, check)

    @ipam_clause("I2")
    def test_no_candidate_comes_twice(self, plugin: IpamPlugin) -> None:
        """However many are drawn."""

        def check(_asked: IpamRequest, offered: Sequence[Prefix]) -> None:
            if twice := [str(subnet) for subnet in set(offered) if offered.count(subnet) > 1]:
                raise AssertionError(f"these came more than once: {twice}")

        self._on_every_mesh(plugin, check)

    @ipam_clause("I3")
    def test_the_first_subnet_is_nobodys(self, plugin: IpamPlugin) -> None:
        """A mesh no larger than one subnet has none to give."""

        def check(asked: IpamRequest, offered: Sequence[Prefix]) -> None:
            if asked.mesh_cidr.address in [subnet.address for subnet in offered]:
                raise AssertionError(f"the first subnet of {asked.mesh_cidr} was a candidate")

        self._on_every_mesh(plugin, check)

    @ipam_clause("I3")
    def test_the_broadcast_address_is_nobodys(self, plugin: IpamPlugin) -> None:
        """Of an IPv4 mesh whose subnets are one or two addresses; in a /31 there is none, nor in IPv6."""
        for mesh, length in (("10.0.0.0/29", 32), ("10.0.0.0/29", 31), ("10.0.0.0/30", 31), ("10.0.0.0/31", 32)):
            for name in self.names:
                asked = ask(mesh, length, name=name)
                offered = first_candidates(plugin.make(), asked, 300)
                if left := [str(s) for s in offered if s not in assignable_subnets(asked.mesh_cidr, length)]:
                    raise AssertionError(f"{left} came, with the broadcast address of {mesh}")

    @ipam_clause("I4")
    def test_what_is_taken_is_no_candidate(self, plugin: IpamPlugin) -> None:
        """Be it larger or smaller than a candidate, or in another mesh."""

        def check(asked: IpamRequest, offered: Sequence[Prefix]) -> None:
            for subnet in offered:
                if overlapped := [str(taken) for taken in asked.taken if taken.overlaps(subnet)]:
                    raise AssertionError(f"{subnet} overlaps {overlapped}, which is taken")

        self._on_every_mesh(plugin, check)

    @ipam_clause("I4")
    def test_a_candidate_is_none_once_it_is_taken(self, plugin: IpamPlugin) -> None:
        """Nor once its neighbours are taken with it, or a single address of it is."""
        for mesh, length in HUGE:
            for name in self.names:
                asked = ask(mesh, length, name=name)
                for first in first_candidates(plugin.make(), asked, 1):
                    longer = {Prefix(first.last, first.bits)}
                    for taken in ({first}, {Prefix.of(first.address, length - 1)}, longer):
                        offered = first_candidates(plugin.make(), ask(mesh, length, taken, name=name), 20)
                        if clash := [str(subnet) for subnet in offered if any(map(subnet.overlaps, taken))]:
                            raise AssertionError(f"{clash} came although {set(map(str, taken))} is taken")

    @ipam_clause("I5")
    def test_a_full_mesh_has_no_candidates(self, plugin: IpamPlugin) -> None:
        """Whether it is taken as a whole, in halves, all but its first subnet, or subnet by subnet."""
        small = Prefix.parse("10.0.0.0/24")
        full = [ask(small, 28, every_subnet(small, 28))]
        for text, length in (*HUGE, (str(small), 28)):
            mesh = Prefix.parse(text)
            spare_the_first = cover_without(mesh, Prefix(mesh.address, length))
            full += [ask(mesh, length, taken) for taken in ({mesh}, halves(mesh), spare_the_first)]
        for asked in full:
            for name in self.names:
                if offered := first_candidates(plugin.make(), replace(asked, name=name), 1):
                    raise AssertionError(f"{offered[0]} came, in a mesh {asked.mesh_cidr} that is full")

    @ipam_clause("I5")
    def test_candidates_end(self, plugin: IpamPlugin) -> None:
        """After no more than the mesh has."""

        def check(asked: IpamRequest, offered: Sequence[Prefix]) -> None:
            if asked.subnet_prefix - asked.mesh_cidr.length <= 8 and len(offered) > 256:
                raise AssertionError(f"they don't end, in a mesh {asked.mesh_cidr} of subnets of {asked.subnet_prefix}")

        self._on_every_mesh(plugin, check)

    @ipam_clause("I6")
    def test_every_free_subnet_is_a_candidate(self, plugin: IpamPlugin) -> None:
        """In a small mesh, whose candidates can all be drawn."""

        def check(asked: IpamRequest, offered: Sequence[Prefix]) -> None:
            every = assignable_subnets(asked.mesh_cidr, asked.subnet_prefix)
            free = {subnet for subnet in every if not any(map(subnet.overlaps, asked.taken))}
            if left_out := sorted(map(str, free.difference(offered))):
                raise AssertionError(f"these are free, and never came: {left_out[:5]}")

        self._on_small_meshes(plugin, check)

    @ipam_clause("I6")
    def test_the_last_free_subnet_is_found(self, plugin: IpamPlugin) -> None:
        """Of a huge mesh, wherever it lies."""
        for text, length in HUGE:
            mesh = Prefix.parse(text)
            for last in (mesh.last, middle(mesh)):
                spared = Prefix.of(last, length)
                offered = first_candidates(plugin.make(), ask(mesh, length, cover_without(mesh, spared)), 2)
                if offered != [spared]:
                    raise AssertionError(f"only {spared} was free, and {list(map(str, offered))} came")


def _is_whole(candidate: object) -> bool:
    """Whether this is a subnet as `Prefix` promises: without host bits, whoever built it."""
    return isinstance(candidate, Prefix) and Prefix.of(candidate.address, candidate.length) == candidate
