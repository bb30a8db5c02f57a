"""The backend kit passes for a backend that keeps the contract, and names the clause that a broken backend breaks."""

import inspect
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.device.backend import Backend, BackendContext, read_peers
from ikto_core.device.diff import patched
from ikto_core.device.model import DevicePatch
from ikto_core.testing import BackendContract
from ikto_core.testing.clauses import CLAUSES, clause_of
from ikto_core.testing.devices import create, public_key_of
from tests.backends.fake_contract import FakeContract, OutsideBackend, plugin_of
from tests.testing import broken_backends as broken
from tests.third_party import PLUGIN, run_kit

WG = "wg0"


class Kit(FakeContract):
    examples = settings(max_examples=20, phases=[Phase.generate])  # without shrinking, which is slow
    patience_s = 0.3


def kit_tests(clause: str) -> list[Callable[..., Awaitable[None]]]:
    found = [getattr(Kit(), name) for name in dir(Kit) if name.startswith("test_")]
    return [test for test in found if clause_of(test) == clause]


async def failures(kind: type[FakeBackend], clause: str, tmp_path: Path) -> list[str]:
    """Run each of the clause's tests with a new host; return the messages of those that fail."""
    messages = []
    for test in kit_tests(clause):
        host = FakeHost()
        given = {
            "backend": kind(host),
            "another": OutsideBackend(host),
            "plugin": plugin_of(host, kind),
            "context": BackendContext(ifname=WG, state_dir=tmp_path),
            "ifname": WG,
            "other_ifname": "wg1",
            "peers": 3,
        }
        try:
            await test(**{name: given[name] for name in inspect.signature(test).parameters})
        except AssertionError as error:
            messages.append(str(error))
        except pytest.skip.Exception:
            continue
    return messages


@pytest.mark.parametrize(
    ("kind", "clause"),
    [
        (broken.CreateResetsDevice, "C1"),
        (broken.ReadsAbsentAsEmpty, "C2"),
        (broken.ApplyCreatesDevice, "C3"),
        (broken.TreatsNoneAsZero, "C4"),
        (broken.DropsSecondaryAddresses, "C4"),
        (broken.RemovesFirst, "C5"),
        (broken.ReplacesPeers, "C5"),
        (broken.ShowsTwoOwners, "C6"),
        (broken.UpdateCreatesPeer, "C7"),
        (broken.LeaksNativeErrors, "C8"),
        (broken.SharesPorts, "C8"),
        (broken.GivesNoHint, "C8"),
        (broken.ReadsFromItsCache, "C9"),
        (broken.SendsNoEvents, "C9"),
        (broken.SendsNoGoneEvent, "C9"),
        (broken.WritesLateAfterCancel, "C10"),
        (broken.StuckAfterCancel, "C10"),
        (broken.HalfDeletesOnCancel, "C10"),
        (broken.ShowsNoPeersDuringWrites, "C11"),
        (broken.ShowsZeroForNever, "C12"),
        (broken.CountsFromTheLastWrite, "C12"),
        (broken.LosesIPv6Endpoints, "C13"),
        (broken.ReplacesInEveryMessage, "C13"),
        (broken.LosesScopes, "C14"),
        (broken.DeletesDevicesOnClose, "C15"),
        (broken.IgnoresCancellation, "C16"),
        (broken.FailsWhenCancelled, "C16"),
        (broken.ShowsPeersAsLastRead, "C17"),
        (broken.ShowsTheRestOfASplitPeer, "C17"),
        (broken.ReadsNoCounters, "C17"),
        (broken.FailsForAbsentPeers, "C17"),
    ],
)
async def test_the_kit_names_the_clause_that_a_broken_backend_breaks(
    kind: type[FakeBackend], clause: str, tmp_path: Path
) -> None:
    messages = await failures(kind, clause, tmp_path)
    assert messages
    assert all(text.startswith(f"{clause}: {CLAUSES[clause]}") for text in messages)


@pytest.mark.parametrize(
    "clause", [pytest.param(clause, marks=pytest.mark.slow if clause == "C21" else ()) for clause in CLAUSES]
)
async def test_every_clause_has_tests_and_the_fake_backend_passes_them(clause: str, tmp_path: Path) -> None:
    assert kit_tests(clause)
    assert await failures(FakeBackend, clause, tmp_path) == []


async def test_a_backend_may_have_no_events(tmp_path: Path) -> None:
    assert await failures(broken.EventsEndAtOnce, "C9", tmp_path) == []


async def test_a_backend_may_have_no_way_to_read_a_few_peers() -> None:
    """Then the reason is shown, and the core reads the whole device."""
    async with FakeHost().open() as fake:
        backend = broken.OnlyFiveMethods(fake)
        await backend.create(WG)
        await backend.apply(WG, DevicePatch(peers=(create(1), create(2))))
        with pytest.raises(pytest.skip.Exception, match="C17: the backend has no `read_peers`, which is optional"):
            await Kit().test_read_peers_leaves_out_what_is_absent(backend, WG)
        assert await read_peers(backend, WG, {public_key_of(1), public_key_of(3)}) == {
            public_key_of(1): patched(None, create(1))
        }


def test_every_test_of_the_kit_belongs_to_a_clause() -> None:
    names = [name for name in dir(BackendContract) if name.startswith("test_")]
    assert {clause_of(getattr(BackendContract, name)) for name in names} == set(CLAUSES)


def test_each_clause_has_a_number_of_its_own() -> None:
    """In order. Authors name clauses in `unsupported`, so a number never gets another meaning; there may be gaps."""
    numbers = [int(number) for number in re.findall(r"^ *C(\d+)\. ", inspect.getdoc(Backend) or "", re.MULTILINE)]
    assert numbers == sorted(set(numbers))
    assert list(CLAUSES) == [f"C{number}" for number in numbers]


def third_party(directory: Path, body: str, *options: str) -> str:
    return run_kit(directory, "BackendContract", "ikto_backends.fake:ikto_register_backends", body, *options)


@pytest.mark.slow
def test_a_third_party_runs_the_kit_and_sees_why_tests_are_skipped(tmp_path: Path) -> None:
    output = third_party(tmp_path, "    unsupported = {'C6': 'vendor limit', 'C9': 'no notifications'}\n" + PLUGIN)
    skipped = len(kit_tests("C6")) + len(kit_tests("C9"))
    assert output.count("C6 is not supported: vendor limit") == len(kit_tests("C6"))
    assert output.count("C9 is not supported: no notifications") == len(kit_tests("C9"))
    assert "C8: `other_kind` is not set" in output
    assert "`establish` is not overridden" in output
    assert "`unprivileged` is not overridden" in output
    assert output.count("C18: changes of another program are not read") == 1  # one line for three tests
    assert f"{skipped + 7 + 3} skipped" in output
    assert "failed" not in output
    assert " error" not in output


@pytest.mark.slow
def test_every_clause_can_be_declared_unsupported_with_its_reason(tmp_path: Path) -> None:
    reasons = {name: f"reason {number}." for number, name in enumerate(CLAUSES)}
    output = third_party(tmp_path, f"    unsupported = {reasons!r}\n{PLUGIN}")
    assert dict(re.findall(r"SKIPPED \[\d+\] .*: (C\d+) is not supported: (.+)", output)) == reasons
    assert "passed" not in output


@pytest.mark.slow
def test_an_unknown_clause_and_a_missing_plugin_are_errors(tmp_path: Path) -> None:
    output = third_party(tmp_path, "    unsupported = {'C99': 'no such'}\n", "-x")
    assert "`unsupported` names unknown clauses: ['C99']" in output
    output = third_party(tmp_path, "    pass\n", "-x")
    assert "override the fixture `plugin`" in output


def test_pytest_is_imported_with_a_kit_only() -> None:
    program = (
        "import sys, ikto_core, ikto_core.testing, ikto_core.lab.nats_server\n"
        "assert not {'pytest', 'hypothesis'} & set(sys.modules)\n"
        "from ikto_core.testing import BackendContract\n"
        "assert 'pytest' in sys.modules\n"
        "import ikto_core.testing.backend_contract as module\n"
        "assert BackendContract is module.BackendContract\n"
        "try: ikto_core.testing.NoSuchKit\n"
        "except AttributeError as error: print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert ran.stdout == "module 'ikto_core.testing' has no attribute 'NoSuchKit'\n", ran.stderr
