"""A version keeps what the one before promised: it may offer more, and never ask more."""

from pathlib import Path

import pytest

from tests.docs.test_reference import PACKAGE, library_of
from tools.documents import PROMISED, ROOT, version
from tools.earlier_release import examples_to_run
from tools.reference.promise import broken, lapsed, predecessor, promise
from tools.reference.source import Library
from tools.reference.surface import surface

PROBES = "ikto_core/probes.py"
HOOKS = "ikto_core/plugins/hookspecs.py"


def promised(name: str) -> set[str]:
    return set((PROMISED / name).read_text().splitlines())


def test_this_version_breaks_no_promise_of_the_one_before() -> None:
    now = version(Library(ROOT))
    before = predecessor((page.stem for page in PROMISED.glob("[0-9]*.txt")), now)
    gone = lapsed((PROMISED / "deprecated.txt").read_text(), now)
    kept = promised(f"{before}.txt") - gone if before else set()
    assert broken(kept, promised(f"{now}.txt")) == []


def lines_of(root: Path, changes: dict[str, tuple[str, str]]) -> set[str]:
    files = dict(PACKAGE)
    for name, (old, new) in changes.items():
        assert old in files[name]
        files[name] = files[name].replace(old, new)
    library = library_of(files, root)
    return set(promise(library, surface(library, ["ikto_core.plugins.hookspecs"])))


def broken_by(tmp_path: Path, name: str, old: str, new: str) -> list[str]:
    return broken(lines_of(tmp_path / "before", {}), lines_of(tmp_path / "after", {name: (old, new)}))


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        (PROBES, "name: str  #", "title: str  #", "gone: offers ikto_core.probes:ProbePlugin.name: str"),
        (PROBES, "name: str  #", "name: str; port: int  #", "new: asks ikto_core.probes:ProbePlugin.port"),
        (PROBES, "] = msgspec.field(default_factory=list)", "]", "new: asks ikto_core.probes:ProbePlugin.seen"),
        (PROBES, "P2. It ends.", "", "gone: offers ikto_core.probes:Probe P2"),
        (PROBES, "def _peek", "def peek", "new: asks ikto_core.probes:Probe: peek() -> Secret"),
        (PROBES, "at: Place, *,", "at: Place, to: T, *,", "new: asks ikto_core.probes:Probe.look(to)"),
        (PROBES, ", long: bool = False", ", long: bool", "new: asks ikto_core.probes:Probe.look(long)"),
        (PROBES, "x: int = 0", "x: int = 0; y: int = 0", "gone: offers ikto_core.probes:Place as x"),
        (PROBES, "x: int = 0", "x: int = 1", "gone: offers ikto_core.probes:Place.x by default 0"),
        (PROBES, "x: int = 0", "y: int = 0", "gone: offers ikto_core.probes:Place.x: int"),
        (PROBES, "at: Place, *,", "*, at: Place,", "gone: offers ikto_core.probes:Probe.look(at) as argument 1"),
        (
            PROBES,
            "at: Place, *,",
            "to: int, at: Place, *,",
            "gone: offers ikto_core.probes:Probe.look(at) as argument 1",
        ),
        (PROBES, "at: Place, *,", "at: int, *,", "gone: offers ikto_core.probes:Probe.look(at: Place)"),
        (
            PROBES,
            "long: bool = False",
            "long: bool = True",
            "gone: offers ikto_core.probes:Probe.look(long) by default False",
        ),
        (
            PROBES,
            "@asynccontextmanager\n",
            "\n",
            "gone: offers ikto_core.probes:Probe.aimed -> async with Iterator[int]",
        ),
        (PROBES, "class Watch:", "class Watcher:", "gone: offers ikto_core.probes:Watch"),
        (PROBES, "@property\n", "\n", "gone: offers ikto_core.probes:Watch.last: int"),
        (PROBES, '"a", "b"', '"a"', "gone: offers ikto_core.probes:ProbePlugin.of of 'b'"),
        (PROBES, "str | bytes", "str | int", "gone: offers ikto_core.probes:Sight of bytes"),
        (HOOKS, "most: int", "limit: int", "gone: offers ikto_core.plugins.hookspecs:ikto_register_probes(most: int)"),
    ],
)
def test_what_breaks_others_is_told(tmp_path: Path, name: str, old: str, new: str, said: str) -> None:
    assert said in broken_by(tmp_path, name, old, new)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (PROBES, "name: str  #", "name: str; port: int = 0  #"),
        (PROBES, "P2. It ends.", "P2. It ends soon.\n\n            P3. It sleeps."),
        (PROBES, "str | bytes", "str | bytes | int"),
        (PROBES, '"a", "b"', '"a", "c", "b"'),
        (PROBES, "class Secret", "class Unseen: ...\n        class Secret"),
        (HOOKS, "most: int = 3", "least: int, most: int = 3"),
        (PROBES, "def watched(self)", "def watched(self, late: bool = False)"),
    ],
)
def test_to_grow_breaks_nothing(tmp_path: Path, name: str, old: str, new: str) -> None:
    assert broken_by(tmp_path, name, old, new) == []


def test_what_is_deprecated_may_go_two_minor_versions_later() -> None:
    text = "# a comment\n0.5: offers a:B.c -> int\n0.6: offers a:D\n"
    assert lapsed(text, "0.6") == set()
    assert lapsed(text, "0.7") == {"offers a:B.c -> int"}
    assert lapsed(text, "1.0") == {"offers a:B.c -> int", "offers a:D"}


def test_a_version_is_held_to_the_one_before_of_the_same_major() -> None:
    assert predecessor(["0.4", "0.9", "0.10", "1.0"], "0.10") == "0.9"
    assert predecessor(["0.4", "0.10"], "0.11") == "0.10"
    assert predecessor(["0.4"], "0.4") == ""
    assert predecessor(["0.4", "0.10"], "1.0") == ""


def test_the_examples_of_the_minor_version_before_are_run_if_it_had_the_doors() -> None:
    tags = ["v0.3.0", "0.3.0", "v0.4.0", "v0.4.10", "v0.4.9", "v0.5.0", "v0.5.1rc1", "nightly"]
    assert examples_to_run(tags, "0.4") == ""
    assert examples_to_run(tags, "0.5") == "v0.4.10"
    assert examples_to_run(tags, "0.6") == "v0.5.0"
    assert examples_to_run(tags, "1.0") == ""
