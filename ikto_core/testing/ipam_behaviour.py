"""Tests of I7 to I11: what candidates depend on, how much work they take, and which requests are refused."""

from random import Random
from typing import NoReturn

import pytest
from msgspec.structs import replace

from ikto_core.ipam.contract import IpamPlugin, IpamRequest
from ikto_core.testing.ipam_base import MESHES, IpamBase, first_candidates, refusal_of
from ikto_core.testing.ipam_clauses import ipam_clause
from ikto_core.testing.ipam_other_process import candidates_in_new_process, candidates_of, is_picklable
from ikto_core.testing.ipam_requests import HUGE, ask, cover_without, every_subnet, middle, nine_tenths, scattered
from ikto_core.values.addressing import Prefix

ODD_NAMES = ("", " ", "näme", "\0", "-1", "r-1-u-1", "1" * 255, "x" * 255)


MEMORY = 2 << 30
"""Bytes of address space for the process that looks at huge meshes."""


class NoRandomness(Random):
    """A source of randomness for deterministic strategies: every draw fails."""

    def random(self) -> NoReturn:
        """Raise AssertionError."""
        raise AssertionError("the strategy drew from `random`")

    def getrandbits(self, k: int, /) -> NoReturn:
        """Raise AssertionError."""
        raise AssertionError(f"the strategy drew {k} bits from `random`")


class BehaviourClauses(IpamBase):
    """Clauses about the strategy itself."""

    @ipam_clause("I7")
    def test_the_same_request_has_the_same_candidates(self, plugin: IpamPlugin) -> None:
        """With the same or a new strategy, before or after another request, in any order of the set's elements."""
        strategy = plugin.make()
        taken = every_subnet(Prefix.parse("fd10:8000::/28"), 34)
        for name in self.names:
            before = first_candidates(strategy, ask("fd10::/16", 48, taken, name=name), 20, patience=10)
            for maker in (strategy, strategy, plugin.make()):
                after = first_candidates(maker, ask("fd10::/16", 48, taken[::-1], name=name), 20, patience=10)
                first_candidates(maker, ask("10.0.0.0/8", 24, name=name, seed=5), 3, patience=10)
                if after != before:
                    raise AssertionError(f"{name!r} got {list(map(str, before[:3]))}, then {list(map(str, after[:3]))}")

    @ipam_clause("I7")
    def test_another_process_has_the_same_candidates(self, plugin: IpamPlugin) -> None:
        """Where `hash()` and the order of sets differ: a restarted agent must ask for the same subnet again.

        Name of the host, user, time and directory do not count either, and nothing is asked of the network.
        """
        near = every_subnet(Prefix.parse("fd10:8000::/28"), 34)
        sets = (near, scattered(Prefix.parse("fd10::/16"), 48), scattered(Prefix.parse("fd10::/16"), 40))

        def requests() -> list[IpamRequest]:  # new ones for each process: drawing changes the state of `random`
            return [ask("fd10::/16", 48, taken, name=name) for name in self.names for taken in sets]

        here = candidates_of(plugin.make, requests(), 20)
        for seed, elsewhere in (("1", False), ("2", False), ("3", False), ("3", True)):
            there = candidates_in_new_process(plugin, requests(), 20, hash_seed=seed, elsewhere=elsewhere)
            where = "on another host, a year later" if elsewhere else "in another process"
            for request, before, after in zip(requests(), here, there, strict=True):
                if after != before:
                    first, then = list(map(str, before[:3])), list(map(str, after[:3]))
                    raise AssertionError(f"{request.name!r} got {first}, and {where} {then}")

    @ipam_clause("I8")
    def test_a_deterministic_strategy_draws_nothing(self, plugin: IpamPlugin) -> None:
        """In any mesh. Skipped for a strategy that uses randomness."""
        if not self.deterministic:
            pytest.skip("I8: `deterministic` is not set, so the strategy may use randomness")
        for mesh, length in HUGE:
            for name in self.names:
                request = replace(ask(mesh, length, name=name), random=NoRandomness())
                if first_candidates(plugin.make(), request, 20) != first_candidates(
                    plugin.make(), replace(request, random=NoRandomness(7)), 20
                ):
                    raise AssertionError(f"the candidates of {name!r} in {mesh} depend on the state of `random`")

    @ipam_clause("I9")
    def test_a_huge_mesh_is_not_listed(self, plugin: IpamPlugin) -> None:
        """The first candidates are found in a bounded number of steps, and in 2 GiB of memory."""
        requests = [ask(mesh, length, name=name) for mesh, length in HUGE for name in self.names]
        if is_picklable(plugin):  # code in C runs no lines: a list of them all would take all memory
            candidates_in_new_process(plugin, requests, 5, memory=MEMORY)
        for mesh, length in HUGE:
            for name in self.names:
                first_candidates(plugin.make(), ask(mesh, length, name=name), 50)

    @ipam_clause("I10")
    def test_work_is_bounded_in_a_mesh_that_is_nine_tenths_full(self, plugin: IpamPlugin) -> None:
        """The taken prefixes are large or small, at one end or spread over the mesh."""
        small = Prefix.parse("10.0.0.0/12")
        scattered = [subnet for number, subnet in enumerate(every_subnet(small, 24)) if number % 10]
        crowded = [ask(small, 24, scattered)]
        for text, length in HUGE:
            mesh = Prefix.parse(text)
            crowded += [ask(mesh, length, taken) for taken in (nine_tenths(mesh), nine_tenths(mesh, at_the_end=True))]
        for request in crowded:
            for name in self.names:
                first_candidates(plugin.make(), replace(request, name=name), 100)

    @ipam_clause("I10")
    def test_work_is_bounded_in_a_mesh_with_one_free_subnet(self, plugin: IpamPlugin) -> None:
        """The strategy does not try the taken subnets one by one."""
        for text, length in HUGE:
            mesh = Prefix.parse(text)
            for name in self.names:
                first_candidates(
                    plugin.make(), ask(mesh, length, cover_without(mesh, Prefix.of(middle(mesh), length)), name=name), 2
                )

    @ipam_clause("I11")
    def test_an_unusual_name_is_served_or_refused_with_a_hint(self, plugin: IpamPlugin) -> None:
        """A node's name can be any text, also empty."""
        for name in (*ODD_NAMES, *self.unservable):
            for mesh, length in MESHES:
                refusal_of(plugin.make(), name, mesh, length)

    @ipam_clause("I11")
    def test_the_names_of_the_kit_are_served(self, plugin: IpamPlugin) -> None:
        """A strategy that refuses them would pass the other tests without proposing anything."""
        for name in self.names:
            if error := refusal_of(plugin.make(), name):
                raise AssertionError(f"the strategy refuses {name!r}, one of `names`: {error}")

    @ipam_clause("I11")
    def test_an_unservable_name_is_an_error(self, plugin: IpamPlugin) -> None:
        """An empty list of candidates is not enough."""
        if not self.unservable:
            pytest.skip("I11: `unservable` lists no names, so there is nothing to refuse")
        for name in self.unservable:
            if refusal_of(plugin.make(), name) is None:
                raise AssertionError(f"the strategy did not refuse {name!r}")
