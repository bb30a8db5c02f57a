"""Of contenders that overlap, the one with the lowest rank wins, and only those that a change concerns are decided."""

from collections.abc import Mapping

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ikto_core.mesh.subnet_contest import FIRST, Rank, SubnetContest
from ikto_core.testing.strategies import subnets_of
from ikto_core.values.addressing import Prefix
from tests.effort import max_examples

MESH = Prefix.parse("10.0.0.0/27")
SETTLED_LENGTH = 29
KEYS = "abcdefghijkl"


class Contender(msgspec.Struct, frozen=True):
    """A record, as far as the contest knows it."""

    subnet: Prefix
    rank: Rank
    label: str


def contender(key: str, subnet: Prefix, *, settled: bool = False, proved: bool = False) -> Contender:
    return Contender(subnet, (not settled, not proved, key), f"{subnet} of {key}")


def subnet(text: str) -> Prefix:
    return Prefix.parse(text)


SETTLED = st.integers(0, 3).map(lambda number: (KEYS[number], subnet(f"10.0.0.{8 * number}/{SETTLED_LENGTH}")))
OWN = subnets_of(MESH, SETTLED_LENGTH) | subnets_of(MESH, SETTLED_LENGTH - 1)
STEPS = st.one_of(
    st.tuples(st.just(FIRST), st.none() | OWN.map(lambda own: Contender(own, (False, False, FIRST), "own"))),
    st.tuples(st.sampled_from(KEYS), st.none()),
    SETTLED.map(lambda pair: (pair[0], contender(*pair, settled=True))),
    st.builds(
        lambda key, subnet, proved: (key, contender(key, subnet, proved=proved)),
        st.sampled_from(KEYS[4:]),
        subnets_of(MESH),
        st.booleans(),
    ),
)


def winners(contenders: Mapping[str, Contender]) -> set[str]:
    """Return who wins, computed at once."""
    won: dict[str, Contender] = {}
    for key, one in sorted(contenders.items(), key=lambda pair: pair[1].rank):
        if not any(one.subnet.overlaps(other.subnet) for other in won.values()):
            won[key] = one
    return set(won)


def decided_at_once(contenders: Mapping[str, Contender]) -> dict[str, str | None]:
    contest = SubnetContest()
    for key, one in contenders.items():
        contest.set(key, one)
    decided = contest.decide()
    for key, winner in decided.items():
        assert winner is None or contenders[winner].subnet.overlaps(contenders[key].subnet)
        assert winner is None or contenders[winner].rank < contenders[key].rank
    return decided


@settings(max_examples=max_examples(500), deadline=None)
@given(st.lists(st.lists(STEPS, max_size=5), max_size=12))
def test_the_winners_are_those_of_all_contenders_in_ascending_order(
    batches: list[list[tuple[str, Contender | None]]],
) -> None:
    """Also if the one with the lowest rank, which displaces settled ones, comes and goes at any time."""
    contest, contenders, decided = SubnetContest(), dict[str, Contender](), dict[str, str | None]()
    for batch in batches:
        for key, one in batch:
            contest.set(key, one)
            contenders.pop(key, None)
            if one:
                contenders[key] = one
        decided = {key: winner for key, winner in decided.items() if key in contenders} | contest.decide()
        assert {key for key, winner in decided.items() if winner is None} == winners(contenders)
        assert decided == decided_at_once(contenders), "also which winner is named"
        assert all(contest.winner(one.subnet) is not None for one in contenders.values())


def test_only_contenders_that_overlap_a_change_are_decided_again() -> None:
    contest = SubnetContest()
    for number in range(100):
        contest.set(f"odd-{number:02}", contender(f"odd-{number:02}", subnet(f"10.{number}.0.64/26")))
    assert len(contest.decide()) == 100
    contest.set("settled", contender("settled", subnet("10.7.0.0/24"), settled=True))
    assert contest.decide() == {"settled": None, "odd-07": "settled"}
    contest.set("settled", contender("settled", subnet("10.7.0.0/24"), settled=True))
    assert contest.decide() == {"settled": None}, "it has not changed"
    contest.set("settled", None)
    assert contest.decide() == {"odd-07": None}


def test_a_contender_that_loses_anyway_passes_no_change_on() -> None:
    """Otherwise one large subnet that can never win would connect all others."""
    contest = SubnetContest()
    contest.set("settled", contender("settled", subnet("10.255.0.0/24"), settled=True))
    contest.set("all", contender("all", subnet("10.0.0.0/8")))
    for number in range(100):
        contest.set(f"odd-{number:02}", contender(f"odd-{number:02}", subnet(f"10.{number}.0.64/26")))
    contest.decide()
    contest.set("odd-07", None)
    assert contest.decide() == {"all": "settled"}
