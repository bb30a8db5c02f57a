"""Render the reference as Markdown: hooks, then records and contracts, errors, and the contract kits."""

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from tools.reference.source import Definition, Library, members
from tools.reference.surface import family, is_error, is_hook, is_kit
from tools.reference.wording import cell, code_cell, default_text, docstring, first_line, signature, type_text

_HEAD = """\
# Reference

All public hooks, records, contract clauses and kits. `make reference` generates this page from the source; a test
checks that it is up to date. [Compatibility](compatibility.md) says what is public, and how it may change.
"""
_RECORDS = {"Struct", "NamedTuple"}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def reference(library: Library, definitions: Iterable[Definition]) -> str:
    """Return the page."""
    every = list(definitions)
    sections = {
        "Hooks": [one for one in every if is_hook(one)],
        "Errors": [one for one in every if is_error(one)],
        "Kits": [one for one in every if is_kit(one)],
    }
    in_sections = {one.place for section in sections.values() for one in section}
    lines = [_HEAD, *_hooks(sections["Hooks"])]
    for module, group in by_module(library, (one for one in every if one.place not in in_sections)):
        lines += [f"## `{module}`", ""]
        for one in group:
            lines += _entry(one)
    lines += _errors(sections["Errors"])
    lines += ["## Kits: `ikto_core.testing`", ""]
    for one in sections["Kits"]:
        lines += _kit(library, one, every) if isinstance(one.node, ast.ClassDef) else _entry(one)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def by_module(library: Library, definitions: Iterable[Definition]) -> Iterator[tuple[str, list[Definition]]]:
    """Yield each module to import from, with its definitions in source order."""
    placed = sorted(
        ((library.public_place(one), one) for one in definitions),
        key=lambda item: (item[0], item[1].module.name, item[1].node.lineno),
    )
    for module, group in groupby(placed, key=lambda item: item[0]):
        yield module, [one for _, one in group]


def public_list(library: Library, definitions: Iterable[Definition]) -> str:
    """Return the table of public names by the module to import them from."""
    lines = ["| from | import |", "|---|---|"]
    for module, group in by_module(library, definitions):
        lines.append(f"| `{module}` | {', '.join(f'`{one.name}`' for one in group)} |")
    return "\n".join(lines) + "\n"


def _hooks(definitions: Iterable[Definition]) -> Iterator[str]:
    yield from ("## Hooks", "")
    for one in definitions:
        if isinstance(one.node, ast.FunctionDef):
            yield from (f"### `{signature(one.node)}`", "", *docstring(one.node), "")


def _errors(definitions: Iterable[Definition]) -> Iterator[str]:
    yield from ("## Errors", "", "| error | is a | exit code | |", "|---|---|---|---|")
    for one in definitions:
        if isinstance(one.node, ast.ClassDef):
            bases = ", ".join(f"`{ast.unparse(base)}`" for base in one.node.bases)
            yield f"| `{one.name}` | {bases} | {_exit_code(one.node)} | {cell(' '.join(docstring(one.node)))} |"
    yield ""


def _exit_code(node: ast.ClassDef) -> str:
    """Return the exit code that a class sets; empty if it inherits its base's."""
    assigned = [one for one in node.body if isinstance(one, ast.Assign)]
    return next((ast.unparse(one.value) for one in assigned if ast.unparse(one.targets[0]) == "exit_code"), "")


def _entry(one: Definition) -> Iterator[str]:
    node = one.node
    if isinstance(node, ast.ClassDef):
        yield from (f"### {_title(one)}", "", *docstring(node), "")
        yield from _members(one)
        yield from _methods(one)
    elif isinstance(node, _Function):
        yield from (f"### `{signature(node)}`", "", *docstring(node), "")
    elif node.value:
        yield from (f"### `{one.name}`", "", f"`{one.name} = {ast.unparse(node.value)}`", "")
        if description := one.module.text_after(node):
            yield from (description, "")


def _title(one: Definition) -> str:
    kind = {"Protocol": "protocol", "Enum": "values", "Struct": "record", "NamedTuple": "tuple"}
    node = one.node
    bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases] if isinstance(node, ast.ClassDef) else []
    known = [kind[base] for base in bases if base in kind]
    return f"`{one.name}`, {known[0]}" if known else f"`{one.name}`" + "".join(f", a `{base}`" for base in bases)


def _members(one: Definition) -> Iterator[str]:
    """Yield the table of a record's members or of an enumeration's values, if there are any."""
    found = members(one)
    typed = any(member.annotation for member in found)
    if typed:
        yield from ("| member | type | default | |", "|---|---|---|---|")
    elif found:
        yield from ("| name | value | |", "|---|---|---|")
    for member in found:
        columns = [member.name, *([type_text(member.annotation)] if typed else []), default_text(member.value)]
        yield f"| {' | '.join(map(code_cell, columns))} | {cell(one.module.comment(member.node))} |"
    yield ""


def _methods(one: Definition) -> Iterator[str]:
    for node in one.node.body if isinstance(one.node, ast.ClassDef) else []:
        if isinstance(node, _Function) and not node.name.startswith("_"):
            first, *more = docstring(node) or [""]
            yield from (f"- `{signature(node)}`: {first}", *(f"  {line}".rstrip() for line in more))
    yield ""


def _kit(library: Library, one: Definition, every: Iterable[Definition]) -> Iterator[str]:
    """Yield a kit without what it inherits from another public kit."""
    node = one.node
    bases = {base.place for base in family(library, one)} - {one.place}
    inherited = [other for other in every if other.place in bases]
    title = f"`{one.name}`" + "".join(f", a `{other.name}`" for other in inherited)
    yield from (f"### {title}", "", *(docstring(node) if isinstance(node, ast.ClassDef) else ()), "")
    documented = {base.place for other in inherited for base in family(library, other)}
    own = [base for base in family(library, one) if base.place not in documented]
    yield from _kit_members(own)
    yield from _clause_tests(own)


def _kit_members(classes: Iterable[Definition]) -> Iterator[str]:
    """Yield what an author sets or overrides: class attributes, fixtures, methods."""
    rows = [row for one in classes for row in _rows(one)]
    if rows:
        yield from ("| set or override | | default | |", "|---|---|---|---|", *rows, "")


def _rows(one: Definition) -> Iterator[str]:
    for member in members(one):
        columns = (member.name, type_text(member.annotation), default_text(member.value))
        yield f"| {' | '.join(map(code_cell, columns))} | {cell(one.module.comment(member.node))} |"
    for node in one.node.body if isinstance(one.node, ast.ClassDef) else []:
        if isinstance(node, _Function) and not node.name.startswith(("_", "test_")):
            kind = "fixture" if "pytest.fixture" in map(ast.unparse, node.decorator_list) else "method"
            yield f"| {code_cell(signature(node))} | {kind} | | {cell(first_line(node))} |"


def _clause_tests(classes: Iterable[Definition]) -> Iterator[str]:
    """Yield the tests of each clause, in the order of clauses."""
    rows = sorted(
        (_number(name), name, node.name, first_line(node))
        for one in classes
        if isinstance(one.node, ast.ClassDef)
        for node in one.node.body
        if isinstance(node, _Function) and node.name.startswith("test_")
        for name in [_clause_of(node)]
    )
    if rows:
        yield from ("| clause | test | |", "|---|---|---|")
        yield from (f"| {name} | `{test}` | {cell(summary)} |" for _, name, test, summary in rows)
        yield ""


def _clause_of(node: _Function) -> str:
    calls = [mark for mark in node.decorator_list if isinstance(mark, ast.Call) and "clause" in ast.unparse(mark.func)]
    return str(ast.literal_eval(calls[0].args[0])) if calls else ""


def _number(clause: str) -> tuple[str, int]:
    return clause[:1], int(clause[1:] or 0)
