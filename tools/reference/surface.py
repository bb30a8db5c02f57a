"""What is public: a few places to begin at, and whatever their signatures lead to."""

import ast
from collections.abc import Iterable, Iterator

from tools.reference.source import Definition, Library, members
from tools.reference.wording import unquoted

DOORS = ("ikto_core.plugins", "ikto_core.embedding", "ikto_core.client", "ikto_core.testing")
"""The modules to import from; nothing else is public. Each public name is exported by exactly one of them."""

BEGINNINGS = ("ikto_core.plugins.hookspecs", *DOORS)
"""A module stands for its hooks and for what its `__all__` lists."""

_TYPE_VARIABLES = {"TypeVar", "ParamSpec", "TypeVarTuple"}
_KITS = "ikto_core.testing"


def surface(library: Library, beginnings: Iterable[str] = BEGINNINGS) -> list[Definition]:
    """Return every public definition, each once, in the order in which the beginnings lead to it."""
    found: dict[tuple[str, str], Definition] = {}
    waiting = [definition for beginning in beginnings for definition in begun(library, beginning)]
    while waiting:
        definition = waiting.pop(0)
        if definition.place in found or not is_public(definition):
            continue
        found[definition.place] = definition
        nexts = (library.find(definition.module.name, name) for name in mentioned(definition))
        waiting += [leads for leads in nexts if leads]
    return list(found.values())


def begun(library: Library, beginning: str) -> list[Definition]:
    """Return the definitions that a module stands for; LookupError if one is misspelt or there is none."""
    module = library.module(beginning)
    every = [Definition(module, *item) for item in module.definitions.items()]
    names = [*module.exported, *(one.name for one in every if is_hook(one))]
    found = [library.find(beginning, name) for name in names]
    if not found or None in found:
        raise LookupError(f"{beginning}: it exports what is not there, or nothing")
    return [definition for definition in found if definition]


def is_hook(definition: Definition) -> bool:
    """Whether it is a hook's specification."""
    return isinstance(definition.node, ast.FunctionDef) and any(
        "hookspec" in ast.unparse(mark) for mark in definition.node.decorator_list
    )


def is_error(definition: Definition) -> bool:
    """Whether it is an error: by its name, which a lint rule keeps."""
    return isinstance(definition.node, ast.ClassDef) and definition.name.endswith("Error")


def is_kit(definition: Definition) -> bool:
    """Whether it is for tests: such a class is inherited, and its bases are its own affair."""
    return definition.module.name.startswith(_KITS)


def is_public(definition: Definition) -> bool:
    """Whether a name that a signature mentions is one to import: neither private nor a type variable."""
    node = definition.node
    value = node.value if isinstance(node, ast.Assign) else None
    variable = isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in _TYPE_VARIABLES
    return not definition.name.startswith("_") and not variable


def family(library: Library, one: Definition) -> Iterator[Definition]:
    """Yield a class and those it inherits from, as far as they are ours; each once, and bases first."""
    bases = one.node.bases if isinstance(one.node, ast.ClassDef) else []
    seen = set()
    for base in bases:
        found = library.find(one.module.name, ast.unparse(base))
        for member in family(library, found) if found else ():
            if member.place not in seen:
                seen.add(member.place)
                yield member
    yield one


def mentioned(definition: Definition) -> list[str]:
    """Return the names that a definition's signature mentions, in order."""
    nodes = (node for expression in _expressions(definition) for node in ast.walk(unquoted(expression)))
    return [node.id for node in nodes if isinstance(node, ast.Name)]


def _expressions(definition: Definition) -> Iterator[ast.expr]:
    node = definition.node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from annotations(node)
    elif isinstance(node, ast.ClassDef):
        yield from () if is_kit(definition) else node.bases
        yield from (member.annotation for member in members(definition) if member.annotation)
        for method in node.body:
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and not method.name.startswith("_"):
                yield from annotations(method)
    elif isinstance(node.value, ast.BinOp):  # a union
        yield node.value


def annotations(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.expr]:
    """Yield the annotations of a function: its arguments', then what it returns."""
    given = [*node.args.posonlyargs, *node.args.args, node.args.vararg, *node.args.kwonlyargs, node.args.kwarg]
    every = [*(argument.annotation for argument in given if argument), node.returns]
    yield from (annotation for annotation in every if annotation)
