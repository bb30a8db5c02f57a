"""Tests of I1 to I6: which subnets are candidates, and that none is missing."""

from collections.abc import Sequence

from msgspec.structs import replace

from ikto_core.ipam.contract import IpamPlugin, IpamRequest
from ikto_core.testing.ipam_base import IpamBase, first_candidates
from ikto_core.testing.ipam_clauses import ipam_clause
from ikto_core.testing.ipam_requests import HUGE, ask, assignable_subnets, cover_without, every_subnet, halves, middle
from ikto_core.values.addressing import Prefix


class CandidateClauses(IpamBase):
    """Clauses about the candidates."""

    @ipam_clause("I1")
    def test_candidates_are_subnets_of_the_mesh(self, plugin: IpamPlugin) -> None:
        """They have the mesh's address family, the requested prefix length, and no host bits."""

        def check(request: IpamRequest, candidates: Sequence[Prefix]) -> None:
            for subnet in candidates:
                if not _is_whole(subnet):
                    raise AssertionError(f"{subnet!r} is not a Prefix, or has host bits")
                if subnet.length != request.subnet_prefix or not request.mesh_cidr.covers(subnet):
                    raise AssertionError(f"{subnet} is not a /{request.subnet_prefix} inside {request.mesh_cidr}")

        self._on_every_mesh(plugin, check)

    @ipam_clause("I2")
    def test_no_candidate_is_proposed_twice(self, plugin: IpamPlugin) -> None:
        """Among all candidates of small meshes and the first ones of huge meshes."""

        def check(_asked: IpamRequest, candidates: Sequence[Prefix]) -> None:
            if twice := [str(subnet) for subnet in set(candidates) if candidates.count(subnet) > 1]:
                raise AssertionError(f"proposed more than once: {twice}")

        self._on_every_mesh(plugin, check)

    @ipam_clause("I3")
    def test_the_first_subnet_is_never_a_candidate(self, plugin: IpamPlugin) -> None:
        """A mesh that is no larger than one subnet has no candidates."""

        def check(request: IpamRequest, candidates: Sequence[Prefix]) -> None:
            if request.mesh_cidr.address in [subnet.address for subnet in candidates]:
                raise AssertionError(f"the first subnet of {request.mesh_cidr} is a candidate")

        self._on_every_mesh(plugin, check)

    @ipam_clause("I3")
    def test_the_broadcast_address_is_never_in_a_candidate(self, plugin: IpamPlugin) -> None:
        """Of an IPv4 mesh with /31 or /32 subnets. A /31 mesh and IPv6 meshes have no broadcast address."""
        for mesh, length in (("10.0.0.0/29", 32), ("10.0.0.0/29", 31), ("10.0.0.0/30", 31), ("10.0.0.0/31", 32)):
            for name in self.names:
                request = ask(mesh, length, name=name)
                candidates = first_candidates(plugin.make(), request, 300)
                if left := [str(s) for s in candidates if s not in assignable_subnets(request.mesh_cidr, length)]:
                    raise AssertionError(f"{left} contains the broadcast address of {mesh}")

    @ipam_clause("I4")
    def test_no_candidate_overlaps_a_taken_prefix(self, plugin: IpamPlugin) -> None:
        """The taken prefixes are larger or smaller than a candidate, or outside the mesh."""

        def check(request: IpamRequest, candidates: Sequence[Prefix]) -> None:
            for subnet in candidates:
                if overlapped := [str(taken) for taken in request.taken if taken.overlaps(subnet)]:
                    raise AssertionError(f"{subnet} overlaps {overlapped}, which is taken")

        self._on_every_mesh(plugin, check)

    @ipam_clause("I4")
    def test_a_candidate_is_not_proposed_once_it_is_taken(self, plugin: IpamPlugin) -> None:
        """Alone, together with its neighbour, or with a single one of its addresses."""
        for mesh, length in HUGE:
            for name in self.names:
                request = ask(mesh, length, name=name)
                for first in first_candidates(plugin.make(), request, 1):
                    longer = {Prefix(first.last, first.bits)}
                    for taken in ({first}, {Prefix.of(first.address, length - 1)}, longer):
                        candidates = first_candidates(plugin.make(), ask(mesh, length, taken, name=name), 20)
                        if clash := [str(subnet) for subnet in candidates if any(map(subnet.overlaps, taken))]:
                            raise AssertionError(f"{clash} is proposed although {set(map(str, taken))} is taken")

    @ipam_clause("I5")
    def test_a_full_mesh_has_no_candidates(self, plugin: IpamPlugin) -> None:
        """It is taken as a whole, in halves, except its first subnet, or subnet by subnet."""
        small = Prefix.parse("10.0.0.0/24")
        full = [ask(small, 28, every_subnet(small, 28))]
        for text, length in (*HUGE, (str(small), 28)):
            mesh = Prefix.parse(text)
            spare_the_first = cover_without(mesh, Prefix(mesh.address, length))
            full += [ask(mesh, length, taken) for taken in ({mesh}, halves(mesh), spare_the_first)]
        for request in full:
            for name in self.names:
                if candidates := first_candidates(plugin.make(), replace(request, name=name), 1):
                    raise AssertionError(f"{candidates[0]} is proposed although the mesh {request.mesh_cidr} is full")

    @ipam_clause("I5")
    def test_candidates_end(self, plugin: IpamPlugin) -> None:
        """There are no more candidates than subnets in the mesh."""

        def check(request: IpamRequest, candidates: Sequence[Prefix]) -> None:
            if request.subnet_prefix - request.mesh_cidr.length <= 8 and len(candidates) > 256:
                raise AssertionError(
                    f"they don't end, in a mesh {request.mesh_cidr} of subnets of {request.subnet_prefix}"
                )

        self._on_every_mesh(plugin, check)

    @ipam_clause("I6")
    def test_every_free_subnet_is_a_candidate(self, plugin: IpamPlugin) -> None:
        """In small meshes, where all candidates can be drawn, and in one of two thousand subnets."""

        def check(request: IpamRequest, candidates: Sequence[Prefix]) -> None:
            every = assignable_subnets(request.mesh_cidr, request.subnet_prefix)
            free = {subnet for subnet in every if not any(map(subnet.overlaps, request.taken))}
            if left_out := sorted(map(str, free.difference(candidates))):
                raise AssertionError(f"free subnets that are not proposed: {left_out[:5]}")

        self._on_small_meshes(plugin, check)
        larger = ask("10.0.0.0/13", 24, name=self.names[0])
        check(larger, first_candidates(plugin.make(), larger, 2100, patience=10))

    @ipam_clause("I6")
    def test_the_last_free_subnet_is_found(self, plugin: IpamPlugin) -> None:
        """In a huge mesh, at its end or in its middle."""
        for text, length in HUGE:
            mesh = Prefix.parse(text)
            for last in (mesh.last, middle(mesh)):
                spared = Prefix.of(last, length)
                candidates = first_candidates(plugin.make(), ask(mesh, length, cover_without(mesh, spared)), 2)
                if candidates != [spared]:
                    raise AssertionError(f"only {spared} is free, but the candidates are {list(map(str, candidates))}")


def _is_whole(candidate: object) -> bool:
    """Whether this is a Prefix without host bits."""
    return isinstance(candidate, Prefix) and Prefix.of(candidate.address, candidate.length) == candidate
