"""Render source as text: signatures without `self`, docstrings as Markdown."""

import ast
import re
from collections.abc import Iterator

CLAUSE = re.compile(r"^([A-Z]\d+)\. ")  # the start of a numbered clause of a contract
_LABEL = re.compile(r"^(Args|Raises|Returns|Yields):$")
_ARGUMENT = re.compile(r"^ {4}(\w+): ")


class _Unquoted(ast.NodeTransformer):
    """Replaces quoted names in annotations with names, except inside `Literal`."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        try:
            return ast.parse(node.value, mode="eval").body if isinstance(node.value, str) else node
        except SyntaxError:  # plain text, not a name
            return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        return node if ast.unparse(node.value).endswith("Literal") else self.generic_visit(node)


def unquoted(node: ast.expr) -> ast.expr:
    """Return a copy of an annotation without quotes around names."""
    copy: ast.expr = _Unquoted().visit(ast.parse(ast.unparse(node), mode="eval").body)
    return copy


def type_text(node: ast.expr | None) -> str:
    """Return an annotation as text; empty if there is none."""
    return ast.unparse(unquoted(node)) if node else ""


def signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return a function's signature without `self`; for a property, its name and type."""
    if is_property(node):
        return f"{node.name}: {type_text(node.returns)}"
    arguments = [text for text in _arguments(node.args) if text not in {"self", "cls"}]
    returns = f" -> {type_text(node.returns)}" if node.returns else ""
    return f"{call_word(node)}{node.name}({', '.join(arguments)}){returns}"


def is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a method is read as a member."""
    return any(ast.unparse(mark).rpartition(".")[2] in {"property", "cached_property"} for mark in node.decorator_list)


def call_word(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return what stands before a call: "async ", "with ", both, or nothing."""
    word = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    managed = any(ast.unparse(mark).endswith("contextmanager") for mark in node.decorator_list)
    return f"{word}with " if managed else word


def _arguments(arguments: ast.arguments) -> Iterator[str]:
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    yield from (_argument(one, None) for one in positional[:required])
    yield from map(_argument, positional[required:], arguments.defaults)
    if arguments.vararg or arguments.kwonlyargs:
        yield f"*{_argument(arguments.vararg, None)}" if arguments.vararg else "*"
    yield from map(_argument, arguments.kwonlyargs, arguments.kw_defaults)
    if arguments.kwarg:
        yield f"**{_argument(arguments.kwarg, None)}"


def _argument(one: ast.arg, default: ast.expr | None) -> str:
    typed = f"{one.arg}: {type_text(one.annotation)}" if one.annotation else one.arg
    return f"{typed} = {ast.unparse(default)}" if default else typed


def default_text(node: ast.expr | None) -> str:
    """Return a default as text; empty if there is none. A default factory is shown as a call."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("field"):
        options = {keyword.arg: keyword.value for keyword in node.keywords}
        if "default_factory" in options:
            return f"{ast.unparse(options['default_factory'])}()"
        return default_text(options.get("default"))
    return ast.unparse(node) if node else ""


def docstring(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return a docstring's lines as Markdown: clauses and arguments become lists."""
    return list(_marked_up((ast.get_docstring(node) or "").splitlines()))


def first_line(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return the first line of a docstring."""
    return (ast.get_docstring(node) or "").partition("\n")[0]


def _marked_up(lines: list[str]) -> Iterator[str]:
    code = arguments = item = False  # whether the line is in a code block, an `Args:` block, a list item
    for before, line in zip(["", *lines], lines, strict=False):
        arguments = bool(_LABEL.match(line)) or (arguments and (not line or line.startswith(" ")))
        code = not arguments and line.startswith("    ") and (code or not before)
        item = item and bool(line)
        if begins := CLAUSE.match(line) or (arguments and _ARGUMENT.match(line)):
            item = True
            yield f"- {'`' + begins[1] + '`:' if arguments else '**' + begins[1] + '.**'} {line[begins.end() :]}"
        elif label := _LABEL.match(line):
            yield from () if label[1] == "Args" else (line, "")
        else:
            yield line if code else f"{'  ' if item else ''}{line.strip()}"


def cell(text: str) -> str:
    """Return text for a table cell."""
    return " ".join(text.replace("|", "\\|").split())


def code_cell(text: str) -> str:
    """Return code for a table cell; empty stays empty."""
    return f"`{cell(text)}`" if text else ""
