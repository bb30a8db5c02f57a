"""Modules as they are written: definitions, what imports lead to, and the comments that end lines."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

Statement = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Assign | ast.AnnAssign
_FOR_TOOLS = re.compile(r"\s*\b(noqa|type: ignore|pyright: ignore|fmt: )\b.*")


class Module:
    """One file, parsed once."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.tree = ast.parse(text)

    @cached_property
    def definitions(self) -> dict[str, Statement]:
        """What the module defines at its top, by name, in order."""
        return {name: node for node in self.tree.body for name in _names(node) if isinstance(node, Statement)}

    @cached_property
    def imports(self) -> dict[str, tuple[str, str]]:
        """Module and name of what is imported, by the name it has here; for type checkers only or not."""
        return {
            alias.asname or alias.name: (node.module, alias.name)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }

    @cached_property
    def exported(self) -> tuple[str, ...]:
        """What `__all__` lists; nothing if there is none."""
        node = self.definitions.get("__all__")
        return tuple(ast.literal_eval(node.value)) if isinstance(node, ast.Assign) else ()

    @cached_property
    def _comments(self) -> dict[int, str]:
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}

    def comment(self, node: ast.stmt) -> str:
        """Return the comment that ends a statement's last line, without what is meant for tools."""
        text = self._comments.get(node.end_lineno or 0, "")
        return _FOR_TOOLS.sub("", text.removeprefix("#")).strip()

    def text_after(self, node: ast.stmt) -> str:
        """Return the string that follows an assignment as its docstring; empty: there is none."""
        at = self.tree.body.index(node) + 1
        after = self.tree.body[at] if at < len(self.tree.body) else None
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            return after.value.value
        return ""


class Definition(NamedTuple):
    """Something that a module defines."""

    module: Module
    name: str
    node: Statement

    @property
    def place(self) -> tuple[str, str]:
        """Where it is defined: module and name."""
        return self.module.name, self.name


class Library:
    """The modules of one source tree, read when they are asked for.

    Args:
        root: The directory that packages lie in.
        doors: The modules to import from.

    """

    def __init__(self, root: Path, doors: Sequence[str] = ()) -> None:
        self._root = root
        self._doors = doors
        self._modules: dict[str, Module] = {}

    def module(self, name: str) -> Module:
        """Return a module or a package's `__init__`; FileNotFoundError if there is none."""
        if name not in self._modules:
            path = self._root.joinpath(*name.split("."))
            path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            self._modules[name] = Module(name, path.read_text())
        return self._modules[name]

    def find(self, module: str, name: str) -> Definition | None:
        """Return what a name means in a module, followed to where it is defined; None: it is nothing of ours."""
        if not (self._root / module.partition(".")[0]).is_dir():
            return None
        here = self.module(module)
        if name in here.definitions:
            return Definition(here, name, here.definitions[name])
        return self.find(*here.imports[name]) if name in here.imports else None

    def public_place(self, definition: Definition) -> str:
        """Return the door that exports the definition; its own module if none does."""
        for door in self._doors:
            if definition.name in self.module(door).exported and self.find(door, definition.name) == definition:
                return door
        return definition.module.name


class Member(NamedTuple):
    """Something that a class has: of a record, of an enumeration, or of an object once it is made."""

    name: str
    annotation: ast.expr | None  # None: it is only assigned, as an enumeration's values are
    value: ast.expr | None  # None: it has no default
    node: ast.stmt


def members(one: Definition) -> list[Member]:
    """Return the public members of a class, in order; nothing for what is no class.

    Those that `__init__` sets are members where it says so, by a type and a comment: `self.at: int = 0  # in bytes`.
    """
    body = one.node.body if isinstance(one.node, ast.ClassDef) else []
    found = [_member(node, "") for node in body]
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            said = (inner for inner in node.body if isinstance(inner, ast.AnnAssign) and one.module.comment(inner))
            found += [_member(inner, "self.") for inner in said]
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
