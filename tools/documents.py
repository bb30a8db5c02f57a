"""What is generated from the source, in whole or in part: pages of the docs, manual pages, scripts for shells."""

import json
import re
from pathlib import Path

from ikto_core.cli.completion import SCRIPTS
from tools.api_page import api_page
from tools.excerpts import with_excerpts
from tools.house import picture
from tools.man import pages as man_pages
from tools.openapi import openapi
from tools.reference.pages import public_list, reference
from tools.reference.promise import promise
from tools.reference.source import Library
from tools.reference.surface import DOORS, surface

ROOT = Path(__file__).parents[1]
PROMISED = ROOT / "docs/promised"
"""One file per minor version, with its compatibility promise. Only the file of the current version is generated."""
_BEGIN, _END = "<!-- public: written by `make reference` -->\n", "<!-- end of public -->\n"


def documents() -> dict[Path, str]:
    """Return the up-to-date text of each page."""
    docs, library = ROOT / "docs", Library(ROOT, DOORS)
    definitions = surface(library)
    pages = {page: with_excerpts(page.read_text(), ROOT) for page in sorted(docs.glob("*.md"))}
    compatibility = docs / "compatibility.md"
    before, _, after = pages[compatibility].partition(_BEGIN)
    pages[compatibility] = before + _BEGIN + public_list(library, definitions) + _END + after.partition(_END)[2]
    pages[docs / "reference.md"] = reference(library, definitions)
    pages[PROMISED / f"{version(library)}.txt"] = "".join(f"{line}\n" for line in promise(library, definitions))
    pages[docs / "architecture.svg"] = picture(ROOT)
    description = openapi(Library(ROOT), version(library))
    pages[docs / "openapi.json"] = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    pages[docs / "api.md"] = api_page(description)
    return pages | _for_packages()


def _for_packages() -> dict[Path, str]:
    """Return what packages install of the program's own texts: manual pages, and scripts for shells."""
    packaging = ROOT / "packaging"
    names = {"bash": "ikto.bash", "zsh": "_ikto", "fish": "ikto.fish"}
    scripts = {packaging / "completion" / names[shell]: script for shell, script in SCRIPTS.items()}
    return scripts | {packaging / "man" / name: text for name, text in man_pages().items()}


def version(library: Library) -> str:
    """Return the minor version of this source, as in "0.4"."""
    found = re.search(r'^__version__ = "(\d+\.\d+)', library.module("ikto_core").text, re.MULTILINE)
    if not found:
        raise LookupError("ikto_core has no __version__")
    return found[1]
