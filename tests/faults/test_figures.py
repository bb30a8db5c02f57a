"""The suite's page shows every fault."""

import re
from ast import literal_eval
from pathlib import Path

from tests.faults.figures import HEAD, README, with_table

FAULTS = [
    literal_eval(text)
    for path in sorted(Path(__file__).parent.glob("test_*.py"))
    for text in re.findall(r"^@pytest\.mark\.fault\((.+)\)$", path.read_text(), re.MULTILINE)
]


def test_every_fault_has_its_row() -> None:
    page = README.read_text()
    assert len(FAULTS) > 30
    for fault in FAULTS:
        pattern = re.sub(r"\\{.*?\\}", ".+", re.escape(fault))
        assert re.search(rf"^\| {pattern} \| .+ \| [0-9.]+ s \|$", page, re.MULTILINE), fault


def test_a_table_replaces_the_one_before() -> None:
    page = f"above\n\n{HEAD}| old | row | 1.0 s |\n\nbelow\n"
    rows = f"{HEAD}| new | row | 2.0 s |\n"
    assert with_table(page, rows) == f"above\n\n{rows}\nbelow\n"
    assert with_table(f"above\n\n{HEAD}\nbelow\n", rows) == f"above\n\n{rows}\nbelow\n"
