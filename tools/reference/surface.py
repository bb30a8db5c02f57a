"""Find the public definitions: the exports of the public modules, and every type that their signatures mention."""

import ast
from collections.abc import Iterable, Iterator

from tools.reference.source import Definition, Library, members
from tools.reference.wording import unquoted

DOORS = ("ikto_core.plugins", "ikto_core.embedding", "ikto_core.client", "ikto_core.testing")
"""The public modules. Each public name is exported by exactly one of them."""

ROOTS = ("ikto_core.plugins.hookspecs", *DOORS)
"""The modules where the search starts: from their hooks and the names in their `__all__`."""

_TYPE_VARIABLES = {"TypeVar", "ParamSpec", "TypeVarTuple"}
_KITS = "ikto_core.testing"


def surface(library: Library, roots: Iterable[str] = ROOTS) -> list[Definition]:
    """Return every public definition once, in breadth-first order from the roots."""
    found: dict[tuple[str, str], Definition] = {}
    queue = [definition for root in roots for definition in root_definitions(library, root)]
    while queue:
        definition = queue.pop(0)
        if definition.place in found or not is_public(definition):
            continue
        found[definition.place] = definition
        mentions = (library.find(definition.module.name, name) for name in mentioned(definition))
        queue += [mention for mention in mentions if mention]
    return list(found.values())


def root_definitions(library: Library, root: str) -> list[Definition]:
    """Return a root module's hooks and exports. Raises LookupError if an export does not exist or there are none."""
    module = library.module(root)
    every = [Definition(module, *item) for item in module.definitions.items()]
    names = [*module.exported, *(one.name for one in every if is_hook(one))]
    found = [library.find(root, name) for name in names]
    if not found or None in found:
        raise LookupError(f"{root} exports nothing, or a name that is not defined")
    return [definition for definition in found if definition]


def is_hook(definition: Definition) -> bool:
    """Whether it is a hook specification."""
    return isinstance(definition.node, ast.FunctionDef) and any(
        "hookspec" in ast.unparse(mark) for mark in definition.node.decorator_list
    )


def is_error(definition: Definition) -> bool:
    """Whether it is an exception class: by its name, which a lint rule enforces."""
    return isinstance(definition.node, ast.ClassDef) and definition.name.endswith("Error")


def is_kit(definition: Definition) -> bool:
    """Whether it is a contract kit. Authors subclass a kit; its base classes are not part of the promise."""
    return definition.module.name.startswith(_KITS)


def is_public(definition: Definition) -> bool:
    """Whether a name mentioned in a signature is public: neither private nor a type variable."""
    node = definition.node
    value = node.value if isinstance(node, ast.Assign) else None
    variable = isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in _TYPE_VARIABLES
    return not definition.name.startswith("_") and not variable


def family(library: Library, one: Definition) -> Iterator[Definition]:
    """Yield a class and its base classes in this source tree, each once, bases first."""
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
    """Return the names in a definition's signature, in order."""
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
    """Yield the annotations of a function's arguments, then of its result."""
    arguments = [*node.args.posonlyargs, *node.args.args, node.args.vararg, *node.args.kwonlyargs, node.args.kwarg]
    every = [*(argument.annotation for argument in arguments if argument), node.returns]
    yield from (annotation for annotation in every if annotation)
