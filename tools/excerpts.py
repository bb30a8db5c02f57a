"""Code blocks in pages that are excerpts of source files.

A marker is a comment on a line of its own, above a code block: `<!-- excerpt: FILE -->` for a whole file,
`<!-- excerpt: FILE NAME NAME -->` for definitions of a Python file; a name may be `Class.method`.
"""

import ast
import re
import textwrap
from pathlib import Path

_EXCERPT = re.compile(
    r"^<!-- excerpt: (?P<what>[^\n]+?) -->\n+```(?P<language>\w*)\n.*?^```$", re.MULTILINE | re.DOTALL
)


def with_excerpts(page: str, root: Path) -> str:
    """Return the page with up-to-date excerpts. Raises LookupError if a file lacks a named definition."""

    def update(block: re.Match[str]) -> str:
        path, *names = block["what"].split()
        text = (root / path).read_text()
        code = "\n\n\n".join(excerpt(text, name) for name in names) if names else text.strip("\n")
        return f"<!-- excerpt: {block['what']} -->\n```{block['language']}\n{code}\n```"

    return _EXCERPT.sub(update, page)


def excerpt(text: str, name: str) -> str:
    """Return a definition's source with its decorators, dedented."""
    body: list[ast.stmt] = ast.parse(text).body
    for part in name.split("."):
        found = [node for node in body if part in _names(node)]
        if not found:
            raise LookupError(f"excerpt: the file does not define {name}")
        node = found[0]
        body = node.body if isinstance(node, ast.ClassDef) else []
    decorators = node.decorator_list if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) else []
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return textwrap.dedent("\n".join(text.splitlines()[first - 1 : node.end_lineno]))


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [node.name] if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) else []
