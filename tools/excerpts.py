"""Code blocks of a page that are excerpts of files: below a mark, the file's own text.

A mark is a comment on a line of its own, above a block of code: `<!-- excerpt: FILE -->` for a whole file,
`<!-- excerpt: FILE NAME NAME -->` for some of a Python file's definitions, `Class.method` among them.
"""

import ast
import re
import textwrap
from pathlib import Path

_MARKED = re.compile(r"^<!-- excerpt: (?P<what>[^\n]+?) -->\n+```(?P<language>\w*)\n.*?^```$", re.MULTILINE | re.DOTALL)


def with_excerpts(page: str, root: Path) -> str:
    """Return the page with its excerpts as the files have them. LookupError: a file has no such definition."""

    def renewed(mark: re.Match[str]) -> str:
        path, *names = mark["what"].split()
        text = (root / path).read_text()
        shown = "\n\n\n".join(excerpt(text, name) for name in names) if names else text.strip("\n")
        return f"<!-- excerpt: {mark['what']} -->\n```{mark['language']}\n{shown}\n```"

    return _MARKED.sub(renewed, page)


def excerpt(text: str, name: str) -> str:
    """Return a definition as it is written, with its decorators, without indentation."""
    body: list[ast.stmt] = ast.parse(text).body
    for part in name.split("."):
        found = [node for node in body if part in _names(node)]
        if not found:
            raise LookupError(f"there is no {name} in the file of an excerpt")
        node = found[0]
        body = node.body if isinstance(node, ast.ClassDef) else []
    decorators = node.decorator_list if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) else []
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return textwrap.dedent("\n".join(text.splitlines()[first - 1 : node.end_lineno]))


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [node.name] if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) else []
