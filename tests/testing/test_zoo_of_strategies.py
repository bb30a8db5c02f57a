"""The IPAM kit names the clause, and says what to do, for every mistake of a zoo of broken strategies."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ikto_core.builtin.ipam import SequentialStrategy
from ikto_core.ipam.contract import IpamRequest, IpamStrategy
from ikto_core.testing.ipam_clauses import IPAM_CLAUSES
from ikto_core.testing.ipam_work_limit import TooMuchWorkError, line_limit
from ikto_core.values.addressing import Prefix
from tests.testing import broken_strategies as broken
from tests.testing.broken_strategies import outside
from tests.testing.test_ipam_contract import failures

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("make", "clause", "words"),
    [
        (broken.FollowsTheFirstTaken, "I7", "and in another process"),
        (broken.FollowsTheLastOfASetOfTexts, "I7", "and in another process"),
        (broken.HashesTheName, "I7", "and in another process"),
        (broken.ShufflesWithTheTime, "I7", "got "),
        (broken.SeedsTheGlobalRandom, "I7", "got "),
        (broken.ListsInC, "I9", "in another process: MemoryError"),
        (broken.ListsWithIpaddress, "I9", "TooMuchWorkError: not finished after"),
        (broken.RefusesSilently, "I11", "'' gets no candidate in the empty mesh fd10::/16, and no error says why"),
        (broken.RefusesWithoutAHint, "I11", "has no message or no hint"),
        (broken.RefusesWithoutAWord, "I11", "has no message or no hint"),
        (broken.RefusesEveryName, "I11", "the strategy refuses 'node-7', one of `names`"),
        (broken.RefusesIPv4Silently, "I11", "gets no candidate in the empty mesh 10.0.0.0/8"),
        (broken.RaisesValueError, "I11", "ValueError"),
        (broken.ProposesOneSubnet, "I6", "free subnets that are not proposed"),
        (broken.LeavesTheProgram, "I11", "KeyError: 'node-7'"),
        (outside.BeginsAtTheHost, "I7", "and on another host, a year later"),
        (outside.BeginsAtTheNodeOfUname, "I7", "and on another host, a year later"),
        (outside.BeginsAtTheDay, "I7", "and on another host, a year later"),
        (outside.BeginsAtTheHour, "I7", "and on another host, a year later"),
        (outside.BeginsAtTheUser, "I7", "and on another host, a year later"),
        (outside.BeginsAtTheDirectory, "I7", "and on another host, a year later"),
        (outside.HashesTheKey, "I7", "and in another process"),
        (outside.CountsItsCalls, "I7", "got "),
        (outside.AsksTheNetwork, "I7", "it connects to another program or host"),
        (outside.SleepsForEver, "I1", "the strategy sleeps (3600 s)"),
        (outside.LoopsAtTheEnd, "I5", "TooMuchWorkError: not finished after"),
        (outside.BeginsAgain, "I2", "proposed more than once"),
        (outside.ForgetsLongPrefixes, "I4", "is taken"),
        (outside.StopsAfterTwoHundred, "I6", "free subnets that are not proposed"),
        (outside.RefusesSixtyFour, "I6", "free subnets that are not proposed"),
        (outside.ProposesTexts, "I1", "is not a Prefix"),
        (outside.RaisesAtTheFirstCandidate, "I11", "LookupError: näme"),
    ],
)
def test_the_kit_names_the_mistake(make: type[IpamStrategy], clause: str, words: str) -> None:
    messages = failures(make, clause)
    assert any(words in text for text in messages), messages
    assert all(text.startswith(f"{clause}: {IPAM_CLAUSES[clause]} But ") for text in messages)
    assert all("What to do: " in text for text in messages)


def test_a_strategy_that_reads_a_file_is_not_blamed_for_the_lines_of_the_parser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parser is an installed package, or one of Python's."""
    (tmp_path / "kit_parser.py").write_text("def parse():\n    return sum(1 for _ in range(20_000))\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("ikto_core.testing.ipam_work_limit._SITES", (str(tmp_path),))
    parse = __import__("kit_parser").parse

    class ReadsAFile(SequentialStrategy):
        def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
            assert parse()
            return super().candidates(request)

    assert failures(ReadsAFile, "I9") == []
    with pytest.raises(TooMuchWorkError, match="lines of other packages"), line_limit(500):
        parse()
    with pytest.raises(TooMuchWorkError, match="lines of Python"), line_limit(500, "kit_parser"):
        parse()
    monkeypatch.delitem(sys.modules, "kit_parser")
