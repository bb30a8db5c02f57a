"""A few changes of a record count at once, then one every few seconds, and the latest one in the end."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ikto_core.mesh.change_limit import AT_ONCE, EVERY_S, ChangeLimit
from ikto_core.mesh.view import Entry
from tests.effort import max_examples


def entry(revision: int) -> Entry:
    return Entry(revision, b"")


def rewritten(limit: ChangeLimit, times: int, every_s: float, key: str = "a", since: float = 0.0) -> list[int]:
    """Rewrite a record; return the revisions that counted, in order."""
    counted = []
    for n in range(times):
        now = since + n * every_s
        for admitted in (limit.take_due(now), limit.admit({key: entry(n + 1)}, now)):
            counted += [one.revision for one in admitted.values()]
    return counted


def test_a_record_that_is_rewritten_122_times_in_20_s_counts_a_dozen_times() -> None:
    limit = ChangeLimit()
    counted = rewritten(limit, 122, 20 / 122)
    assert counted[:AT_ONCE] == list(range(1, AT_ONCE + 1))
    assert len(counted) == 11
    assert (limit.frequent, limit.stats.delayed) == ({"a"}, 112)
    assert limit.take_due(limit.next_due_at) == {"a": entry(122)}, "the latest counts in the end"
    assert not limit.waiting
    assert limit.next_due_at > 1e9


def test_a_record_that_changes_every_ten_seconds_never_waits() -> None:
    limit = ChangeLimit()
    assert len(rewritten(limit, 1000, EVERY_S)) == 1000
    assert not limit.frequent
    assert limit.stats.delayed == 0


def test_ten_changes_at_once_do_not_wait_again_after_a_while() -> None:
    limit = ChangeLimit()
    for since in (0.0, AT_ONCE * EVERY_S):
        assert len(rewritten(limit, AT_ONCE, 0, since=since)) == AT_ONCE
    assert not limit.frequent


def test_other_records_are_not_affected() -> None:
    limit = ChangeLimit()
    rewritten(limit, 100, 0)
    others = {f"other-{n}": entry(n) for n in range(1000)}
    assert limit.admit(others | {"a": entry(200)}, 1.0) == others


def test_a_record_is_frequent_until_it_has_been_calm_for_long() -> None:
    limit = ChangeLimit()
    rewritten(limit, AT_ONCE + 1, 0)
    limit.take_due(EVERY_S)
    limit.forget_calm(AT_ONCE * EVERY_S)
    assert limit.frequent == {"a"}
    limit.forget_calm((AT_ONCE + 1) * EVERY_S)
    assert limit.frequent == set()
    assert len(rewritten(limit, AT_ONCE, 0, since=(AT_ONCE + 1) * EVERY_S)) == AT_ONCE


def test_what_waits_is_taken_when_the_bucket_is_read_anew() -> None:
    limit = ChangeLimit()
    rewritten(limit, 30, 0)
    assert limit.take_all() == {"a": entry(30)}
    assert limit.take_due(1e9) == {}
    assert limit.admit({"a": entry(31)}, 1e9) == {"a": entry(31)}


STEPS = st.lists(st.tuples(st.sets(st.sampled_from("abc")), st.sampled_from([0.0, 0.0, 0.5, 9.0, 40.0])), max_size=60)


@settings(max_examples=max_examples(300), deadline=None)
@given(STEPS)
def test_no_time_has_more_changes_than_the_limit_and_the_latest_ones_count_in_the_end(
    steps: list[tuple[set[str], float]],
) -> None:
    limit, now, latest, counts = ChangeLimit(), 0.0, dict[str, Entry](), dict[str, Entry]()
    times: list[tuple[str, float]] = []
    for revision, (keys, pause_s) in enumerate(steps):
        now += pause_s
        changes = {key: entry(revision) for key in keys}
        latest |= changes
        admitted = limit.admit(changes, now)
        counts |= admitted
        times += [(key, now) for key in admitted]
        assert limit.waiting == {key: one for key, one in latest.items() if counts.get(key) != one}
        assert limit.next_due_at > now
        assert (limit.next_due_at < 1e9) == bool(limit.waiting)
    for key in "abc":
        own = [at for one, at in times if one == key]
        for since in own:
            for until in (at for at in own if at >= since):
                within = len([at for at in own if since <= at <= until])
                assert within <= AT_ONCE + (until - since) / EVERY_S
    while limit.waiting:
        counts |= limit.take_due(limit.next_due_at)
    assert counts == latest
