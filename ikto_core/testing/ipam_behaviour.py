"""I7 to I11: what a strategy's answers depend on, what they cost, and whom it refuses."""

from random import Random
from typing import NoReturn

import pytest
from msgspec.structs import replace

from ikto_core.ipam.contract import IpamPlugin, IpamRequest
from ikto_core.testing.ipam_base import IpamBase, first_candidates, refusal_of
from ikto_core.testing.ipam_clauses import ipam_clause
from ikto_core.testing.ipam_other_process import candidates_in_new_process, candidates_of
from ikto_core.testing.ipam_requests import HUGE, ask, cover_without, every_subnet, middle, nine_tenths
from ikto_core.values.addressing import Prefix

ODD_NAMES = ("", " ", "näme", "\0", "-1", "r-1-u-1", "1" * 255, "x" * 255)


class NoChance(Random):
    """What a deterministic strategy is given: every draw fails."""

    def random(self) -> NoReturn:
        """Refuse to draw."""
        raise AssertionError("it drew from `random`")

    def getrandbits(self, k: int, /) -> NoReturn:
        """Refuse to draw."""
        raise AssertionError(f"it drew {k} bits from `random`")


class ConductClauses(IpamBase):
    """What is promised of the strategy itself."""

    @ipam_clause("I7")
    def test_the_same_request_has_the_same_candidates(self, plugin: IpamPlugin) -> None:
        """Of this strategy or of one made anew, first or after another request, in whatever order sets are built."""
        strategy = plugin.make()
        taken = every_subnet(Prefix.parse("fd10:8000::/28"), 34)
        for name in self.names:
            known = first_candidates(strategy, ask("fd10::/16", 48, taken, name=name), 20, patience=10)
            for maker in (strategy, strategy, plugin.make()):
                again = first_candidates(maker, ask("fd10::/16", 48, taken[::-1], name=name), 20, patience=10)
                first_candidates(maker, ask("10.0.0.0/8", 24, name=name, seed=5), 3, patience=10)
                if again != known:
                    raise AssertionError(f"{name!r} got {list(map(str, known[:3]))}, then {list(map(str, again[:3]))}")

    @ipam_clause("I7")
    def test_another_process_has_the_same_candidates(self, plugin: IpamPlugin) -> None:
        """Whose `hash()` of text, bytes and sets is another: an agent that starts again asks for what it had."""
        taken = every_subnet(Prefix.parse("fd10:8000::/28"), 34)

        def asked() -> list[IpamRequest]:  # anew: whoever draws from `random` moves it on
            return [ask("fd10::/16", 48, taken, name=name) for name in self.names]

        here, there = candidates_of(plugin.make, asked(), 20), candidates_in_new_process(plugin, asked(), 20)
        for name, known, again in zip(self.names, here, there, strict=True):
            if again != known:
                raise AssertionError(f"{name!r} got {list(map(str, known[:3]))}, then {list(map(str, again[:3]))}")

    @ipam_clause("I8")
    def test_a_deterministic_strategy_draws_nothing(self, plugin: IpamPlugin) -> None:
        """Whatever the mesh; a strategy that uses chance need not promise it."""
        if not self.deterministic:
            pytest.skip("I8: `deterministic` is not set, so the strategy may use chance")
        for mesh, length in HUGE:
            for name in self.names:
                asked = replace(ask(mesh, length, name=name), random=NoChance())
                if first_candidates(plugin.make(), asked, 20) != first_candidates(
                    plugin.make(), replace(asked, random=NoChance(7)), 20
                ):
                    raise AssertionError(f"two states of `random` made a difference to {name!r} in {mesh}")

    @ipam_clause("I9")
    def test_a_huge_mesh_is_not_listed(self, plugin: IpamPlugin) -> None:
        """Its first candidates are found in a bounded number of steps."""
        for mesh, length in HUGE:
            for name in self.names:
                first_candidates(plugin.make(), ask(mesh, length, name=name), 50)

    @ipam_clause("I10")
    def test_a_mesh_that_is_nine_tenths_full(self, plugin: IpamPlugin) -> None:
        """Taken in large pieces and small, from its beginning, or all over it."""
        small = Prefix.parse("10.0.0.0/12")
        scattered = [subnet for number, subnet in enumerate(every_subnet(small, 24)) if number % 10]
        crowded = [ask(small, 24, scattered)]
        for text, length in HUGE:
            mesh = Prefix.parse(text)
            crowded += [ask(mesh, length, taken) for taken in (nine_tenths(mesh), nine_tenths(mesh, at_the_end=True))]
        for asked in crowded:
            for name in self.names:
                first_candidates(plugin.make(), replace(asked, name=name), 100)

    @ipam_clause("I10")
    def test_a_mesh_with_one_free_subnet(self, plugin: IpamPlugin) -> None:
        """It is found, or seen to be no candidate, without a walk through what is taken."""
        for text, length in HUGE:
            mesh = Prefix.parse(text)
            for name in self.names:
                first_candidates(
                    plugin.make(), ask(mesh, length, cover_without(mesh, Prefix.of(middle(mesh), length)), name=name), 2
                )

    @ipam_clause("I11")
    def test_an_odd_name_is_served_or_refused_in_plain_words(self, plugin: IpamPlugin) -> None:
        """A node's name is whatever its operator chose; it may be empty."""
        for name in (*ODD_NAMES, *self.unservable):
            refusal_of(plugin.make(), name)

    @ipam_clause("I11")
    def test_who_can_not_be_served_is_told(self, plugin: IpamPlugin) -> None:
        """Rather than left without candidates."""
        if not self.unservable:
            pytest.skip("I11: `unservable` lists no names, so nobody is refused")
        for name in self.unservable:
            if refusal_of(plugin.make(), name) is None:
                raise AssertionError(f"{name!r} is not refused")
