"""The backend contract kit passes a backend that keeps the contract, and names the clause that a broken one breaks."""

import inspect
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.device.backend import BackendContext
from ikto_core.testing import BackendContract
from ikto_core.testing.clauses import CLAUSES, clause_of
from tests.backends.fake_contract import FakeContract, OutsideBackend, plugin_of
from tests.testing import broken_backends as broken
from tests.third_party import PLUGIN, run_kit

WG = "wg0"


class Kit(FakeContract):
    examples = settings(max_examples=20, phases=[Phase.generate])  # to shrink is nice, and slow
    patience_s = 0.3


def kit_tests(clause: str) -> list[Callable[..., Awaitable[None]]]:
    found = [getattr(Kit(), name) for name in dir(Kit) if name.startswith("test_")]
    return [test for test in found if clause_of(test) == clause]


async def complaints(kind: type[FakeBackend], clause: str, tmp_path: Path) -> list[str]:
    """Run the clause's tests on a new host each; return what those that fail say."""
    said = []
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
            said.append(str(error))
        except pytest.skip.Exception:
            continue
    return said


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
    ],
)
async def test_the_kit_names_the_clause_that_a_broken_backend_breaks(
    kind: type[FakeBackend], clause: str, tmp_path: Path
) -> None:
    said = await complaints(kind, clause, tmp_path)
    assert said
    assert all(text.startswith(f"{clause}: {CLAUSES[clause]}") for text in said)


@pytest.mark.parametrize("clause", CLAUSES)
async def test_every_clause_has_tests_and_the_fake_backend_passes_them(clause: str, tmp_path: Path) -> None:
    assert kit_tests(clause)
    assert await complaints(FakeBackend, clause, tmp_path) == []


async def test_a_backend_may_have_no_events(tmp_path: Path) -> None:
    assert await complaints(broken.EventsEndAtOnce, "C9", tmp_path) == []


def test_every_test_of_the_kit_belongs_to_a_clause() -> None:
    names = [name for name in dir(BackendContract) if name.startswith("test_")]
    assert {clause_of(getattr(BackendContract, name)) for name in names} == set(CLAUSES)


def test_the_clauses_are_numbered() -> None:
    assert list(CLAUSES) == [f"C{number}" for number in range(1, len(CLAUSES) + 1)]


def third_party(directory: Path, body: str) -> str:
    return run_kit(directory, "BackendContract", "ikto_backends.fake:ikto_register_backends", body)


def test_a_third_party_gives_its_plugin_and_is_told_what_is_half_shown(tmp_path: Path) -> None:
    said = third_party(tmp_path, "    unsupported = {'C6': 'the vendor forbids it', 'C9': 'nobody tells'}\n" + PLUGIN)
    skipped = len(kit_tests("C6")) + len(kit_tests("C9"))
    assert said.count("C6 is not supported: the vendor forbids it") == len(kit_tests("C6"))
    assert said.count("C9 is not supported: nobody tells") == len(kit_tests("C9"))
    assert "C8: `other_kind` names no interface" in said
    assert "`establish` is not overridden" in said
    assert "`unprivileged` is not overridden" in said
    assert f"{skipped + 4} skipped" in said
    assert "failed" not in said
    assert "error" not in said


def test_every_clause_can_be_declared_unsupported_with_its_reason(tmp_path: Path) -> None:
    reasons = {name: f"reason {number}." for number, name in enumerate(CLAUSES)}
    said = third_party(tmp_path, f"    unsupported = {reasons!r}\n{PLUGIN}")
    shown = dict(re.findall(r"SKIPPED \[\d+\] .*: (C\d+) is not supported: (.+)", said))
    assert shown == reasons
    assert "passed" not in said


def test_a_misspelt_clause_and_a_missing_plugin_are_said(tmp_path: Path) -> None:
    said = third_party(tmp_path, "    unsupported = {'C99': 'no such'}\n")
    assert "`unsupported` names no clause of the contract: ['C99']" in said
    said = third_party(tmp_path, "    pass\n")
    assert "give the fixture `plugin`" in said


def test_only_who_asks_for_the_kit_imports_pytest() -> None:
    program = (
        "import sys, ikto_core, ikto_core.testing, ikto_core.lab.nats_server\n"
        "assert not {'pytest', 'hypothesis'} & set(sys.modules)\n"
        "from ikto_core.testing import BackendContract\n"
        "assert 'pytest' in sys.modules\n"
        "import ikto_core.testing.backend_contract as room\n"
        "assert BackendContract is room.BackendContract\n"
        "try: ikto_core.testing.NoSuchKit\n"
        "except AttributeError as error: print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert ran.stdout == "module 'ikto_core.testing' has no attribute 'NoSuchKit'\n", ran.stderr
