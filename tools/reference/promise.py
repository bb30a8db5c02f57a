"""The compatibility promise of a version, as text lines that later versions are checked against.

An `offers` line is something that callers may use: a later version may add such lines, and must not remove one. An
`asks` line is something that callers must pass or implement: a later version may remove such lines, and must not add
one to something that exists already.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Set

from tools.reference.source import Definition, Library, Member, members
from tools.reference.surface import family, is_error, is_hook, is_kit
from tools.reference.wording import CLAUSE, call_word, default_text, is_property, signature, type_text

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_SUBJECT = re.compile(r"\w+ ([\w.]+:\w+)")


def promise(library: Library, definitions: Iterable[Definition]) -> list[str]:
    """Return the promise of these public definitions, sorted."""
    return sorted({line for one in definitions for line in _lines(library, one)})


def broken(before: Set[str], after: Set[str]) -> list[str]:
    """Return how `after` breaks the promise `before`, sorted; empty if it is compatible."""
    existing = {_subject(line) for line in before} - {""}
    gone = [f"gone: {line}" for line in before - after if line.startswith("offers ")]
    asked = [f"new: {line}" for line in after - before if line.startswith("asks ") and _subject(line) in existing]
    return sorted(gone) + sorted(asked)


def _subject(line: str) -> str:
    """Return the `module:name` that a line is about."""
    found = _SUBJECT.match(line)
    return found[1] if found else ""


def lapsed(deprecated: str, version: str) -> set[str]:
    """Return the lines that this version may remove: those deprecated at least two minor versions ago.

    Args:
        deprecated: Lines `VERSION: offers …`, with the version that deprecated them.
        version: The current minor version.

    """
    now = _number(version)
    dated = (line.partition(": ") for line in deprecated.splitlines() if line and not line.startswith("#"))
    return {line for since, _, line in dated if now >= (_number(since)[0], _number(since)[1] + 2)}


def _number(version: str) -> tuple[int, int]:
    major, minor = map(int, version.split("."))
    return major, minor


def predecessor(versions: Iterable[str], version: str) -> str:
    """Return the last minor version before this one with the same major version; empty if there is none."""
    now = _number(version)
    earlier = [number for number in map(_number, versions) if number < now and number[0] == now[0]]
    return ".".join(map(str, max(earlier))) if earlier else ""


def _lines(library: Library, one: Definition) -> Iterator[str]:
    subject, node = f"{library.public_place(one)}:{one.name}", one.node
    yield f"offers {subject}"
    if isinstance(node, ast.ClassDef):
        for base in family(library, one) if is_kit(one) else [one]:
            yield from _class_lines(subject, base)
    elif isinstance(node, _Function):
        yield from _call_lines(subject, node, asks=not is_hook(one))
    elif isinstance(node.value, ast.Constant):
        yield f"offers {subject} = {ast.unparse(node.value)}"
    elif isinstance(node.value, ast.BinOp):  # a union, which may grow
        yield from (f"offers {subject} of {part}" for part in ast.unparse(node.value).split(" | "))


def _class_lines(subject: str, one: Definition) -> Iterator[str]:
    node = one.node
    if not isinstance(node, ast.ClassDef):
        return
    bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
    if is_error(one):
        yield from (f"offers {subject} is a {base}" for base in bases)
    if "NamedTuple" in bases:  # callers may unpack it
        yield f"offers {subject} as {', '.join(member.name for member in members(one))}"
    clauses = map(CLAUSE.match, (ast.get_docstring(node) or "").splitlines())
    yield from (f"offers {subject} {clause[1]}" for clause in clauses if clause)
    for member in members(one):
        yield from _member_lines(subject, member)
    for method in node.body:
        if isinstance(method, _Function) and _is_called(method.name, one):
            yield from _call_lines(f"{subject}.{method.name}", method, asks=not is_kit(one))
            if "Protocol" in bases:
                yield f"asks {subject}: {signature(method)}"


def _is_called(method: str, one: Definition) -> bool:
    """Whether a method is part of the promise: public methods, and the constructors of errors."""
    return not method.startswith(("_", "test_")) or (is_error(one) and method == "__init__")


def _member_lines(subject: str, member: Member) -> Iterator[str]:
    if member.annotation:
        kind, literal, values = type_text(member.annotation).partition("Literal[")
        yield f"offers {subject}.{member.name}: {kind}{literal}"  # a Literal may get more values
        yield from (f"offers {subject}.{member.name} of {value}" for value in values.rstrip("]").split(", ") if value)
        if member.value is None:
            yield f"asks {subject}.{member.name}"
        if default := default_text(member.value):
            yield f"offers {subject}.{member.name} by default {default}"
    elif member.value:
        yield f"offers {subject}.{member.name} = {ast.unparse(member.value)}"


def _call_lines(subject: str, node: _Function, *, asks: bool) -> Iterator[str]:
    """Yield what a call takes and returns. A hook asks for no argument: pluggy passes only those that it declares."""
    if is_property(node):
        yield f"offers {subject}: {type_text(node.returns)}"
        return
    yield f"offers {subject} -> {call_word(node)}{type_text(node.returns)}"
    arguments = [*node.args.posonlyargs, *node.args.args]
    positional = [one.arg for one in arguments if one.arg not in {"self", "cls"}]
    defaults = dict(zip([one.arg for one in reversed(arguments)], reversed(node.args.defaults), strict=False))
    named = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    defaults |= {one.arg: default for one, default in named if default}
    for argument in (*arguments, *node.args.kwonlyargs):
        if argument.arg not in {"self", "cls"}:
            yield f"offers {subject}({argument.arg}: {type_text(argument.annotation)})"
            if argument.arg in defaults:
                yield f"offers {subject}({argument.arg}) by default {ast.unparse(defaults[argument.arg])}"
            elif asks:
                yield f"asks {subject}({argument.arg})"
    if asks:  # pluggy passes by name
        yield from (f"offers {subject}({name}) as argument {at}" for at, name in enumerate(positional, start=1))
