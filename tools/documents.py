"""The pages that are made from the source, wholly or in part: each as it should be."""

from pathlib import Path

from tools.excerpts import with_excerpts
from tools.reference.pages import public_list, reference
from tools.reference.source import Library
from tools.reference.surface import surface

ROOT = Path(__file__).parents[1]
_BEGIN, _END = "<!-- public: written by `make reference` -->\n", "<!-- end of public -->\n"


def documents() -> dict[Path, str]:
    """Return the text that each page should have."""
    docs, library = ROOT / "docs", Library(ROOT)
    definitions = surface(library)
    pages = {page: with_excerpts(page.read_text(), ROOT) for page in sorted(docs.glob("*.md"))}
    promise = docs / "compatibility.md"
    before, _, after = pages[promise].partition(_BEGIN)
    pages[promise] = before + _BEGIN + public_list(library, definitions) + _END + after.partition(_END)[2]
    pages[docs / "reference.md"] = reference(library, definitions)
    return pages
