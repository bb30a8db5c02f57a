"""What a version promises, as lines that later versions are held to.

`offers` says what others may use: such a line may come, and never goes. `asks` says what others must give or implement:
such a line may go, and never comes to something that was there before.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Set

from tools.reference.source import Definition, Library, Member, members
from tools.reference.surface import family, is_error, is_hook, is_kit
from tools.reference.wording import CLAUSE, signature, type_text

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_THING = re.compile(r"\w+ ([\w.]+:\w+)")


def promise(library: Library, definitions: Iterable[Definition]) -> list[str]:
    """Return the lines of what is public, sorted."""
    return sorted({line for one in definitions for line in _lines(library, one)})


def broken(before: Set[str], after: Set[str]) -> list[str]:
    """Return what a version breaks of an earlier one's promise, in order; nothing if it only grows."""
    things = {thing[1] for line in before if (thing := _THING.match(line))}
    gone = [f"gone: {line}" for line in before - after if line.startswith("offers ")]
    asked = [f"new: {line}" for line in after - before if line.startswith("asks ") and _thing(line) in things]
    return sorted(gone) + sorted(asked)


def _thing(line: str) -> str:
    found = _THING.match(line)
    return found[1] if found else ""


def lapsed(deprecated: str, version: str) -> set[str]:
    """Return the lines that may go in a version, out of `0.5: offers …`: deprecated two minor versions before it."""
    now = _number(version)
    dated = (line.partition(": ") for line in deprecated.splitlines() if line and not line.startswith("#"))
    return {line for since, _, line in dated if now >= (_number(since)[0], _number(since)[1] + 2)}


def _number(version: str) -> tuple[int, int]:
    major, minor = map(int, version.split("."))
    return major, minor


def predecessor(versions: Iterable[str], version: str) -> str:
    """Return the last minor version before this one, of the same major version; empty: there is none."""
    now = _number(version)
    earlier = [number for number in map(_number, versions) if number < now and number[0] == now[0]]
    return ".".join(map(str, max(earlier))) if earlier else ""


def _lines(library: Library, one: Definition) -> Iterator[str]:
    thing, node = f"{library.public_place(one)}:{one.name}", one.node
    yield f"offers {thing}"
    if isinstance(node, ast.ClassDef):
        for base in family(library, one) if is_kit(one) else [one]:
            yield from _class_lines(thing, base)
    elif isinstance(node, _Function):
        yield from _call_lines(thing, node, asks=not is_hook(one))
    elif isinstance(node.value, ast.Constant):
        yield f"offers {thing} = {ast.unparse(node.value)}"
    elif isinstance(node.value, ast.BinOp):  # a union, which may grow
        yield from (f"offers {thing} of {part}" for part in ast.unparse(node.value).split(" | "))


def _class_lines(thing: str, one: Definition) -> Iterator[str]:
    node = one.node
    if not isinstance(node, ast.ClassDef):
        return
    bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
    if is_error(one):
        yield from (f"offers {thing} is a {base}" for base in bases)
    if "NamedTuple" in bases:  # it is unpacked
        yield f"offers {thing} as {', '.join(member.name for member in members(one))}"
    clauses = map(CLAUSE.match, (ast.get_docstring(node) or "").splitlines())
    yield from (f"offers {thing} {clause[1]}" for clause in clauses if clause)
    for member in members(one):
        yield from _member_lines(thing, member)
    for method in node.body:
        if isinstance(method, _Function) and _is_called(method.name, one):
            yield from _call_lines(f"{thing}.{method.name}", method, asks=not is_kit(one))
            if "Protocol" in bases:
                yield f"asks {thing}: {signature(method)}"


def _is_called(method: str, one: Definition) -> bool:
    """Whether others call a method of a class; they make errors too."""
    return not method.startswith(("_", "test_")) or (is_error(one) and method == "__init__")


def _member_lines(thing: str, member: Member) -> Iterator[str]:
    if member.annotation:
        kind, literal, values = type_text(member.annotation).partition("Literal[")
        yield f"offers {thing}.{member.name}: {kind}{literal}"  # of which there may be more values
        yield from (f"offers {thing}.{member.name} of {value}" for value in values.rstrip("]").split(", ") if value)
        if member.value is None:
            yield f"asks {thing}.{member.name}"
    elif member.value:
        yield f"offers {thing}.{member.name} = {ast.unparse(member.value)}"


def _call_lines(thing: str, node: _Function, *, asks: bool) -> Iterator[str]:
    """Yield what a call takes and returns. A hook asks for no argument: pluggy passes those that are named."""
    word = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    yield f"offers {thing} -> {word}{type_text(node.returns)}"
    by_place = [*node.args.posonlyargs, *node.args.args]
    optional = [argument.arg for argument in by_place[len(by_place) - len(node.args.defaults) :]]
    optional += [one.arg for one, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if default]
    for argument in (*by_place, *node.args.kwonlyargs):
        if argument.arg not in {"self", "cls"}:
            yield f"offers {thing}({argument.arg}: {type_text(argument.annotation)})"
            if asks and argument.arg not in optional:
                yield f"asks {thing}({argument.arg})"
