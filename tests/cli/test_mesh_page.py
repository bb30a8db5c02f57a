"""The page of `ikto mesh --html`: alone, safe from the names in it, and drawn by a real browser."""

import json
import re
import shutil
import subprocess
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ikto_core.cli.mesh import write_page
from ikto_core.cli.mesh_page import page
from ikto_core.fleet.heard import Heard
from ikto_core.fleet.matrix import Matrix
from ikto_core.fleet.overview import MeshOverview
from tests.fleet.meshes import known, mesh_of

PWNED = "document.title='pwned'"
NAMES = [
    f"<img src=x onerror={PWNED}>",
    f"</script><script>{PWNED}</script>",
    f"<!--<script>{PWNED}",
    f"'\"><svg onload={PWNED}>",
    "@@DATA@@ @@SCRIPT@@ \u2028 \u202e &lt;",
]
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome", "chromium-browser")


def says(first: int, second: int) -> Heard:
    return Heard.STALLED if (first, second) == (0, 1) else Heard.ACTIVE


@cache
def hostile_mesh(count: int) -> tuple[MeshOverview, Matrix]:
    return mesh_of(known(count, NAMES), says, silent=[2], forged=[1])


@pytest.fixture
def browser() -> str:
    """The path of a Chromium."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    return found or pytest.skip("NOT SHOWN IN A BROWSER: needs Chromium (Debian: chromium-headless-shell)")


def opened(browser: str, path: Path, *options: str) -> str:
    """Return the page's document as the browser has it after its scripts have run, and what it logged."""
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", *options]
    command += [f"--user-data-dir={path.parent / 'profile'}", "--enable-logging=stderr", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


class Document(HTMLParser):
    """The elements of a document, and the texts of its tables' cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._in_cell = tag == "td"
        if self._in_cell:
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_cell &= tag != "td"

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.cells[-1] += data


@pytest.mark.parametrize("count", [3, 12, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_browser_draws_the_page_and_runs_nothing_of_the_names(browser: str, tmp_path: Path, count: int) -> None:
    path = tmp_path / "mesh.html"
    path.write_text(page(*hostile_mesh(count)), encoding="utf-8")
    text = opened(browser, path)
    assert 'data-ready="yes"' in text, "the script came to its end"
    document = Document(text)
    assert f"<title>ikto-mesh: {count - 1} of {count} nodes</title>" in text
    assert not {"img", "svg"} & set(document.tags)
    assert document.tags.count("script") == 2
    shown = [cell for cell in document.cells if cell in NAMES]
    assert shown.count(NAMES[0]) == 2, "in the list of tunnels, and in that of the nodes"
    assert len({*shown}) == min(count, len(NAMES))
    assert document.tags.count("tr") == 2 + 1 + count
    assert "no answer" in document.cells
    labels = [value for name, value in document.attributes if name == "aria-label" and value]
    assert any(label.startswith(f"{count} nodes: 1 tunnels stalled") for label in labels)
    assert f"{count} nodes in a circle, with 1 tunnels in trouble" in labels


@pytest.mark.parametrize("scheme", ["0", "1"], ids=["dark", "light"])
def test_both_colour_schemes_are_drawn(browser: str, tmp_path: Path, scheme: str) -> None:
    path, picture = tmp_path / "mesh.html", tmp_path / "mesh.png"
    path.write_text(page(*mesh_of(known(12), says)), encoding="utf-8")
    opened(browser, path, f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={picture}")
    assert picture.read_bytes().startswith(b"\x89PNG")
    other = tmp_path / "other.png"
    opened(browser, path, f"--blink-settings=preferredColorScheme={1 - int(scheme)}", f"--screenshot={other}")
    assert picture.read_bytes() != other.read_bytes()


def test_the_page_needs_nothing_else() -> None:
    text = page(*mesh_of(known(3)))
    assert not re.findall(r"(?:src|href|action)\s*=|@import|url\(|fetch\(|XMLHttpRequest|import\(", text)
    assert "default-src 'none'" in text


def test_foreign_text_is_json_that_cannot_end_its_element() -> None:
    text = page(*mesh_of(known(9, NAMES), says))
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert not re.findall("[<>&\u2028\u2029]", data)
    found = json.loads(data)
    assert [node["name"] for node in found["mesh"]["nodes"]][: len(NAMES)] == NAMES
    assert found["rows"][0][:3] == "-16"
    assert {len(row) for row in found["rows"]} == {9}
    assert text.count("<script") == 2


def test_the_data_has_every_pair_of_words() -> None:
    text = page(*mesh_of(known(2)))
    (data,) = re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)
    found = json.loads(data)
    codes = ["-", *map(str, range(len(found["words"])))]
    assert found["links"].keys() == {first + second for first in codes for second in codes}
    assert found["words"] == [heard.value for heard in Heard]


def test_a_page_of_a_thousand_nodes_has_a_size_that_can_be_sent() -> None:
    assert len(page(*hostile_mesh(1000)).encode()) < 2**21


def test_a_page_is_written_through_no_symlink(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    path = tmp_path / "mesh.html"
    for name in (".mesh.html.new", "mesh.html"):
        (tmp_path / name).symlink_to(precious)
    write_page(path, "page")
    assert precious.read_text() == "precious"
    assert not path.is_symlink()
    assert path.read_text() == "page"
