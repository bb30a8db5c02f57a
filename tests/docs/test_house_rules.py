"""The house rules that a count can check: small files."""

from pathlib import Path

from tools.documents import ROOT

MOST_LINES = 250


def test_no_file_has_more_lines_than_the_house_rules_allow() -> None:
    files = [path for package in ("ikto_core", "ikto_backends") for path in (ROOT / package).rglob("*.py")]
    assert len(files) > 300
    assert [str(path.relative_to(ROOT)) for path in files if lines(path) > MOST_LINES] == []


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())
