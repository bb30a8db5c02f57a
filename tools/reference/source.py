"""Parse modules: definitions, imports, and the comments at line ends."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

Statement = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Assign | ast.AnnAssign
_TOOL_COMMENT = re.compile(r"\s*\b(noqa|type: ignore|pyright: ignore|fmt: )\b.*")


class Module:
    """One parsed file."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.tree = ast.parse(text)

    @cached_property
    def definitions(self) -> dict[str, Statement]:
        """The module's top-level definitions by name, in source order."""
        return {name: node for node in self.tree.body for name in _names(node) if isinstance(node, Statement)}

    @cached_property
    def imports(self) -> dict[str, tuple[str, str]]:
        """Module and name of each import, by its local name; includes imports for type checkers only."""
        return {
            alias.asname or alias.name: (node.module, alias.name)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }

    @cached_property
    def exported(self) -> tuple[str, ...]:
        """The names in `__all__`; empty if there is none."""
        node = self.definitions.get("__all__")
        return tuple(ast.literal_eval(node.value)) if isinstance(node, ast.Assign) else ()

    @cached_property
    def _comments(self) -> dict[int, str]:
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}

    def comment(self, node: ast.stmt) -> str:
        """Return the comment on a statement's last line, without directives for tools."""
        text = self._comments.get(node.end_lineno or 0, "")
        return _TOOL_COMMENT.sub("", text.removeprefix("#")).strip()

    def text_after(self, node: ast.stmt) -> str:
        """Return the string literal after an assignment, its docstring; empty if there is none."""
        at = self.tree.body.index(node) + 1
        after = self.tree.body[at] if at < len(self.tree.body) else None
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            return after.value.value
        return ""


class Definition(NamedTuple):
    """A top-level definition of a module."""

    module: Module
    name: str
    node: Statement

    @property
    def place(self) -> tuple[str, str]:
        """The defining module, and the name."""
        return self.module.name, self.name


class Library:
    """The modules of one source tree, parsed on first use.

    Args:
        root: The directory that contains the packages.
        doors: The public modules.

    """

    def __init__(self, root: Path, doors: Sequence[str] = ()) -> None:
        self._root = root
        self._doors = doors
        self._modules: dict[str, Module] = {}

    def module(self, name: str) -> Module:
        """Return a module, or a package's `__init__`. Raises FileNotFoundError if there is none."""
        if name not in self._modules:
            path = self._root.joinpath(*name.split("."))
            path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            self._modules[name] = Module(name, path.read_text())
        return self._modules[name]

    def find(self, module: str, name: str) -> Definition | None:
        """Resolve a name in a module through imports to its definition; None if it is not in this source tree."""
        if not (self._root / module.partition(".")[0]).is_dir():
            return None
        here = self.module(module)
        if name in here.definitions:
            return Definition(here, name, here.definitions[name])
        return self.find(*here.imports[name]) if name in here.imports else None

    def public_place(self, definition: Definition) -> str:
        """Return the public module that exports the definition; its own module if none does."""
        for door in self._doors:
            if definition.name in self.module(door).exported and self.find(door, definition.name) == definition:
                return door
        return definition.module.name


class Member(NamedTuple):
    """A member of a record, an enumeration, or an instance."""

    name: str
    annotation: ast.expr | None  # None: a plain assignment, as for an enumeration's values
    value: ast.expr | None  # None: no default
    node: ast.stmt


def members(one: Definition) -> list[Member]:
    """Return the public members of a class, in source order; empty if it is not a class.

    Attributes set in `__init__` are members if they have a type and a comment: `self.at: int = 0  # in bytes`.
    """
    body = one.node.body if isinstance(one.node, ast.ClassDef) else []
    found = [_member(node, "") for node in body]
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            documented = (part for part in node.body if isinstance(part, ast.AnnAssign) and one.module.comment(part))
            found += [_member(part, "self.") for part in documented]
    return [member for member in found if member and not member.name.startswith("_")]


def _member(node: ast.stmt, prefix: str) -> Member | None:
    if isinstance(node, ast.AnnAssign):
        return Member(ast.unparse(node.target).removeprefix(prefix), node.annotation, node.value, node)
    if isinstance(node, ast.Assign):
        return Member(ast.unparse(node.targets[0]), None, node.value, node)
    return None


def _names(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
