"""Draws docs/architecture.svg: floors and rooms as the import contract in pyproject.toml lists them."""

import ast
import tomllib
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from textwrap import wrap

WIDTH, MARGIN, FLOOR_HEIGHT, GAP = 1180, 20, 66, 10
LABEL_WIDTH = 44
LEGEND_HEIGHT = 16
CHARACTER_WIDTH = 6.1
"""Of the small font, in pixels; generous, since fonts differ."""

DOORS = frozenset({"plugins", "embedding", "client", "testing"})
STEPS = {"store": "1", "claim": "2", "mesh": "3", "device": "4"}
"""The path of a record; step 5 is the backend, outside the core."""

LEGEND = "Green: the four public doors. Numbers: the path of a record from the bucket to the device."

_STYLE = (
    "text{font-family:sans-serif;fill:#1c2733}"
    ".name{font-size:15px;font-weight:bold}.what{font-size:11px}.floor{font-size:12px;fill:#6b7785}"
    ".room{fill:#f3f6fa;stroke:#8fa1b5}.door{fill:#e4f3e6;stroke:#3f8f4f;stroke-width:2}"
    ".outside{fill:#fff8e6;stroke:#c39a35}.step{fill:#1f5fa8}.number{fill:#fff;font-size:12px;font-weight:bold}"
)


def floors(root: Path) -> list[list[str]]:
    """Return the rooms of each floor, from the top, as the layers contract lists them."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers: list[str] = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[room.strip() for room in layer.split("|")] for layer in layers]


def purpose(root: Path, room: str) -> str:
    """Return the first sentence of a room's docstring."""
    path = root / "ikto_core" / room
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text())) or ""
    return " ".join(text.split("\n\n")[0].split()).partition(". ")[0].rstrip(".")


def picture(root: Path) -> str:
    """Return the SVG."""
    house = floors(root)
    height = 2 * MARGIN + (len(house) + 1) * (FLOOR_HEIGHT + GAP) + LEGEND_HEIGHT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">',
        f"<style>{_STYLE}</style>",
        "<title>The rooms of ikto_core: each imports only from the floors below it</title>",
    ]
    backends = [("ikto_backends", "netlink, wgtool, fake: they import ikto_core.plugins only; the core imports none")]
    lines += _floor(MARGIN, "", backends, outside=True)
    for number, rooms in enumerate(house):
        top = MARGIN + (number + 1) * (FLOOR_HEIGHT + GAP)
        lines += _floor(top, str(len(house) - number), [(room, purpose(root, room)) for room in rooms])
    lines.append(f'<text class="floor" x="{MARGIN + LABEL_WIDTH}" y="{height - MARGIN}">{LEGEND}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def _floor(top: int, label: str, rooms: Sequence[tuple[str, str]], *, outside: bool = False) -> Iterator[str]:
    yield f'<text class="floor" x="{MARGIN}" y="{top + FLOOR_HEIGHT // 2 + 4}">{label}</text>'
    width = (WIDTH - 2 * MARGIN - LABEL_WIDTH - GAP * (len(rooms) - 1)) // len(rooms)
    for number, (room, what) in enumerate(rooms):
        left = MARGIN + LABEL_WIDTH + number * (width + GAP)
        kind = "outside" if outside else "door" if room in DOORS else "room"
        yield f'<rect class="{kind}" x="{left}" y="{top}" width="{width}" height="{FLOOR_HEIGHT}" rx="6"/>'
        yield f'<text class="name" x="{left + 12}" y="{top + 22}">{escape(room)}</text>'
        for row, text in enumerate(wrap(what, int((width - 24) / CHARACTER_WIDTH))[:2]):
            yield f'<text class="what" x="{left + 12}" y="{top + 39 + 14 * row}">{escape(text)}</text>'
        if step := "5" if outside else STEPS.get(room):
            yield f'<circle class="step" cx="{left + width - 18}" cy="{top + 17}" r="10"/>'
            yield f'<text class="number" x="{left + width - 22}" y="{top + 21}">{step}</text>'
