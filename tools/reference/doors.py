"""Compares a recorded promise with the doors as a program finds them, and with what a program uses of them."""

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from importlib import import_module

_LINE = re.compile(
    r"offers (?P<module>[\w.]+):(?P<name>\w+)(\.(?P<member>\w+))?(\((?P<argument>\w+)(: |\)))?(?P<rest>.*)"
)
_BASE = re.compile(r"offers [\w.]+:(\w+) is a (\w+)")
_POSITION = re.compile(r" as argument (\d+)")


def unkept(promised: Iterable[str]) -> list[str]:
    """Return the recorded lines that the doors do not keep at run time: a name, a member or an argument is missing."""
    return [line for line in promised if line.startswith("offers ") and not _is_kept(line)]


def _is_kept(line: str) -> bool:
    found = _LINE.match(line)
    if not found:
        return False
    owner = getattr(import_module(found["module"]), found["name"], None)
    if owner is None:
        return False
    member = found["member"]
    if member and not hasattr(owner, member) and member not in _declared(owner):
        return False
    if not found["argument"]:
        return True
    return _takes(getattr(owner, member) if member else owner, found["argument"], _POSITION.match(found["rest"]))


def _declared(owner: type) -> set[str]:
    """Return the members that instances of a class get, and the class itself does not have."""
    declared = {name for base in owner.__mro__ for name in vars(base).get("__annotations__", {})}
    return declared | set(re.findall(r"self\.(\w+)", inspect.getsource(owner)))


def _takes(call: Callable[..., object], argument: str, position: re.Match[str] | None) -> bool:
    taken = [one for one in inspect.signature(call).parameters.values() if one.name != "self"]
    named = [one.name for one in taken if one.kind is not one.POSITIONAL_ONLY]
    if not position:
        return argument in named
    by_position = [one.name for one in taken if one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}]
    return by_position[int(position[1]) - 1 : int(position[1])] == [argument]


def unpromised(text: str, promised: Iterable[str]) -> list[str]:
    """Return the names, and the arguments given by name, that a program uses of the doors and a promise lacks."""
    lines = list(promised)
    bases = {match[1]: match[2] for match in map(_BASE.match, lines) if match}
    known = {(match["module"], match["name"]) for match in map(_LINE.match, lines) if match}
    given = {
        (match["name"], match["argument"] if match["member"] in {None, "__init__"} else match["member"])
        for match in map(_LINE.match, lines)
        if match
    }
    return sorted(
        f"{module}:{name}" + (f"({argument})" if argument else "")
        for module, name, argument in set(_uses(ast.parse(text)))
        if (module, name) not in known or not _is_given(name, argument, bases, given)
    )


def _is_given(name: str, argument: str | None, bases: Mapping[str, str], given: Set[tuple[str, str | None]]) -> bool:
    """Whether a call of a name takes the argument, also as one of its base class: that of an error."""
    if (name, argument) in given:
        return True
    return name in bases and _is_given(bases[name], argument, bases, given)


def _uses(tree: ast.Module) -> Iterator[tuple[str, str, str | None]]:
    """Yield door, name and argument (None: of no call) of each import, attribute of a door, and argument by name."""
    nodes = list(ast.walk(tree))
    doors = {
        alias.asname or alias.name: alias.name
        for node in nodes
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name.startswith("ikto_core")
    }
    imported = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in nodes
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ikto_core")
        for alias in node.names
        if node.module
    }
    yield from ((*used, None) for used in imported.values())

    def place(node: ast.expr) -> tuple[str, str] | None:
        if isinstance(node, ast.Name):
            return imported.get(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in doors:
            return doors[node.value.id], node.attr
        return None

    for node in nodes:
        if isinstance(node, ast.Attribute) and (used := place(node)):
            yield (*used, None)
        elif isinstance(node, ast.Call) and (used := place(node.func)):
            yield from ((*used, keyword.arg) for keyword in node.keywords if keyword.arg)
