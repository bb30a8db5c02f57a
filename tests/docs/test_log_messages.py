"""docs/log-messages.md has every event that the source can log, and no other, and says what to do about it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from ikto_core.cli.log_hints import HINTS, with_hint
from ikto_core.observers.wording import EVENTS, WARNINGS
from tools.documents import ROOT

LOG = re.compile(r"log\.(debug|info|warning|error|exception)")
ROW = re.compile(r"^\| `([^`]+)` \| (.*) \|$", re.MULTILINE)
PAGE = ROOT / "docs/log-messages.md"


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Yield the calls of a module's `log`, with their levels."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and (found := LOG.fullmatch(ast.unparse(node.func))):
            yield found[1], node


def literals(node: ast.expr, path: Path) -> set[str]:
    """Return what an event's expression may be: a text, a constant of the module, or what the module passes on."""
    if isinstance(node, ast.Constant):
        return {str(node.value)}
    return PASSED_ON[path.name]


PASSED_ON = {
    "alarms.py": {
        "earlier record not withdrawn",
        "own record was overwritten",
        "record in this node's name without its proof",
    },
    "waiting_log.py": {"changes of public keys pending", "records change too often"},
    "journal.py": set(EVENTS),
}
"""The events of modules that log what they are given."""


def sources() -> list[Path]:
    found = [*ROOT.glob("ikto_core/**/*.py"), *ROOT.glob("ikto_backends/**/*.py")]
    return [path for path in found if path.parts[len(ROOT.parts) + 1] not in ("demo", "lab", "testing")]


def logged() -> set[str]:
    return {event for path in sources() for _, call in calls(path) for event in literals(call.args[0], path)}


def test_the_page_has_every_event_and_no_other() -> None:
    rows = [event for event, _ in ROW.findall(PAGE.read_text())]
    assert sorted(rows) == sorted(logged())


def test_what_a_module_passes_on_is_in_its_source() -> None:
    claim = "".join(path.read_text() for path in ROOT.glob("ikto_core/claim/*.py"))
    for name, events in PASSED_ON.items():
        assert name == "journal.py" or all(f'"{event}"' in claim for event in events)


def test_every_row_says_what_it_means_and_what_to_do() -> None:
    for event, rest in ROW.findall(PAGE.read_text()):
        meaning, _, advice = rest.partition(" | ")
        assert len(meaning) > 10, event
        assert advice, event


def test_every_warning_and_error_has_a_hint() -> None:
    without = set()
    for path in sources():
        for level, call in calls(path):
            if level in ("warning", "error", "exception"):
                without |= literals(call.args[0], path) - HINTS.keys()
    assert without - set(EVENTS) == set()


def test_a_hint_of_its_own_counts_and_an_empty_one_does_not() -> None:
    event = "sync failed"
    assert with_hint(None, "warning", {"event": event, "hint": "mine"})["hint"] == "mine"
    assert with_hint(None, "warning", {"event": event, "hint": ""})["hint"] == HINTS[event]
    assert with_hint(None, "info", {"event": "ready", "hint": ""}) == {"event": "ready"}


def test_every_warning_of_the_journal_can_occur() -> None:
    assert WARNINGS - set(EVENTS) == {"events dropped"}
