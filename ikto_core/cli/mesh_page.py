"""The whole mesh as one HTML page that needs nothing else: no server, no other file, no network.

Names and other foreign text reach the page as JSON only, and its script writes them as text. A content security policy
lets no other script run: it names the hash of this one.
"""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from itertools import product

import msgspec

from ikto_core.fleet.heard import Heard
from ikto_core.fleet.matrix import TROUBLED, Link, Matrix, link_of
from ikto_core.fleet.overview import MeshOverview

_JSON_ESCAPES = {"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"}
"""Inside a script element, JSON with these escapes can't end the element."""

NO_WORD = "-"
_WORDS = {heard: str(number) for number, heard in enumerate(Heard)}


def page(found: MeshOverview, matrix: Matrix) -> str:
    """Return the page."""
    template = files("ikto_core.cli").joinpath("mesh_page.html").read_text(encoding="utf-8")
    script = files("ikto_core.cli").joinpath("mesh_page.js").read_text(encoding="utf-8")
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{_digest(script)}'"
    for name, text in (("POLICY", policy), ("SCRIPT", script), ("DATA", _embedded(found, matrix))):
        template = template.replace(f"@@{name}@@", text, 1)  # the data comes last: it may contain anything
    return template


def _digest(script: str) -> str:
    return b64encode(sha256(script.encode()).digest()).decode()


def _embedded(found: MeshOverview, matrix: Matrix) -> str:
    """Return what the script draws, as JSON for a script element.

    `rows` has a text for each node with one character for each other: an index into `words`, or NO_WORD.
    """
    links = {
        f"{_code(word)}{_code(other)}": link_of(word, other).value for word, other in product((None, *Heard), repeat=2)
    }
    data = {
        "mesh": found,
        "rows": rows(matrix),
        "words": [heard.value for heard in Heard],
        "links": links,
        "order": [link.value for link in Link],
        "troubled": sorted(link.value for link in TROUBLED),
    }
    text = msgspec.json.encode(data).decode()
    for char, escape in _JSON_ESCAPES.items():
        text = text.replace(char, escape)
    return text


def rows(matrix: Matrix) -> list[str]:
    """Return what each node says of the others."""
    numbers = range(len(matrix.nodes))
    return ["".join(_code(matrix.word(row, column)) for column in numbers) for row in numbers]


def _code(word: Heard | None) -> str:
    return _WORDS[word] if word else NO_WORD
