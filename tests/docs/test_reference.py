"""The docs show the source as it is: the reference, the public names, and every excerpt of code."""

import ast
from importlib import import_module
from pathlib import Path

import pluggy
import pytest

from ikto_core.plugins import hookspecs
from tools.documents import ROOT, documents
from tools.excerpts import excerpt, with_excerpts
from tools.reference.pages import public_list, reference
from tools.reference.source import Library
from tools.reference.surface import DOORS, is_hook, root_definitions, surface

LIBRARY = Library(ROOT, DOORS)
DOCUMENTS = documents()
SURFACE = surface(LIBRARY)
PUBLIC = {(LIBRARY.public_place(one), one.name): one for one in SURFACE}

PACKAGE = {
    "ikto_core/__init__.py": "",
    "ikto_core/plugins/hookspecs.py": '''
        import pluggy
        from ikto_core.probes import ProbePlugin
        PROJECT = "ikto"
        hookspec = pluggy.HookspecMarker(PROJECT)
        hookimpl = pluggy.HookimplMarker(PROJECT)
        @hookspec
        def ikto_register_probes(most: int = 3) -> list[ProbePlugin]:
            """Return the probes that this plugin offers."""
    ''',
    "ikto_core/probes.py": '''
        from typing import Literal, NamedTuple, Protocol, TypeVar
        import msgspec
        T = TypeVar("T")
        class ProbePlugin(msgspec.Struct, frozen=True):
            """A probe on offer."""
            name: str  # one | two
            made: "Probe | None" = None  # noqa: X001 - for tools
            seen: list[str] = msgspec.field(default_factory=list)
            of: Literal["a", "b"] = "a"
            _hidden: "Secret" = None
        class Probe(Protocol):
            """Look.

            P1. It looks
                twice.
            P2. It ends.
            """
            @asynccontextmanager
            async def aimed(self) -> Iterator[int]:
                """Aim.

                Args:
                    at: It.

                Raises:
                    OSError: Never.

                """
            async def look(self, at: Place, *, long: bool = False) -> "Sight": ...
            def _peek(self) -> "Secret": ...
        NAMES = "no expression"
        class Place(NamedTuple):
            """Where."""
            x: int = 0
            def watched(self) -> Watch: ...
        Sight = str | bytes
        """What was seen."""
        class Watch:
            """What was seen, all of it."""
            def __init__(self) -> None:
                self.seen: list[Sight] = []  # oldest first
                self.inner: Secret = Secret()
            @property
            def last(self) -> int: return 0
        class Secret: ...
    ''',
}


def library_of(files: dict[str, str], root: Path) -> Library:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line.removeprefix(" " * 8) for line in text.splitlines()))
    return Library(root)


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_no_page_is_stale(page: Path) -> None:
    assert page.read_text() == DOCUMENTS[page], "run `make reference`"


def test_every_hook_that_pluggy_knows_is_in_the_reference() -> None:
    parse = pluggy.PluginManager("ikto").parse_hookspec_opts
    hooks = {name for name in dir(hookspecs) if parse(hookspecs, name) is not None}
    assert hooks
    assert hooks == {name for _, name in PUBLIC if name.startswith("ikto_")}


@pytest.mark.parametrize(("place", "name"), PUBLIC)
def test_every_public_name_can_be_imported_and_says_what_it_is(place: str, name: str) -> None:
    assert hasattr(import_module(place), name)
    node = PUBLIC[place, name].node
    assert not isinstance(node, ast.ClassDef | ast.FunctionDef) or ast.get_docstring(node)


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/**/*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_use_public_names_only(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    used = {
        (node.module, alias.name)
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ikto_core")
        for alias in node.names
    }
    imported = (alias for node in nodes if isinstance(node, ast.Import) for alias in node.names)
    doors = {alias.asname: alias.name for alias in imported if alias.name.startswith("ikto_core")}
    used |= {
        (doors[node.value.id], node.attr)
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in doors
    }
    assert used <= set(PUBLIC)
    assert None not in doors, "import a door by another name: import ikto_core.plugins as ikto"


def test_what_a_hook_leads_to_is_found_and_shown(tmp_path: Path) -> None:
    library = library_of(PACKAGE, tmp_path)
    found = surface(library, ["ikto_core.plugins.hookspecs"])
    page = reference(library, found)
    assert {one.name for one in found} == {
        "ikto_register_probes",
        "ProbePlugin",
        "Probe",
        "Place",
        "Sight",
        "Watch",
    }
    for line in (
        "### `ikto_register_probes(most: int = 3) -> list[ProbePlugin]`",
        "| `name` | `str` |  | one \\| two |",
        "| `made` | `Probe \\| None` | `None` |  |",
        "| `seen` | `list[str]` | `list()` |  |",
        "- **P1.** It looks",
        "  twice.",
        "- **P2.** It ends.",
        "- `async look(at: Place, *, long: bool = False) -> Sight`: ",
        "- `async with aimed() -> Iterator[int]`: Aim.",
        "  - `at`: It.",
        "| `seen` | `list[Sight]` | `[]` | oldest first |",
        "  Raises:",
        "  - `OSError`: Never.",
        "`Sight = str | bytes`",
        "What was seen.",
    ):
        assert line in page.splitlines()
    assert "| `ikto_core.probes` | `ProbePlugin`, `Probe`, `Place`, `Sight`, `Watch` |" in public_list(library, found)


def test_a_door_that_exports_a_name_is_where_to_import_it_from(tmp_path: Path) -> None:
    files = {
        "ikto_core/__init__.py": "",
        "ikto_core/kit/__init__.py": "if TYPE_CHECKING:\n    from ikto_core.room import Kit\n__all__ = ['Kit']\n",
        "ikto_core/room.py": "from ikto_core.base import Base\nclass Kit(Base): 'A kit.'\n",
        "ikto_core/base.py": "class Base: 'A base.'\n",
    }
    library_of(files, tmp_path)
    library = Library(tmp_path, ["ikto_core.kit"])
    found = {(library.public_place(one), one.name) for one in surface(library, ["ikto_core.kit"])}
    assert found == {("ikto_core.kit", "Kit"), ("ikto_core.base", "Base")}


def test_the_doors_export_all_that_their_signatures_lead_to() -> None:
    behind = {f"{place}:{name}" for (place, name), one in PUBLIC.items() if place not in DOORS and not is_hook(one)}
    assert behind == set()


def test_a_public_name_has_one_door() -> None:
    exported = [name for door in DOORS for name in LIBRARY.module(door).exported]
    assert len(exported) == len(set(exported)) > 60


def test_a_root_module_without_its_exports_is_an_error(tmp_path: Path) -> None:
    library = library_of(PACKAGE, tmp_path)
    with pytest.raises(LookupError, match="a name that is not defined"):
        root_definitions(library, "ikto_core.probes")
    with pytest.raises(FileNotFoundError):
        root_definitions(library, "ikto_core.gone")


def test_an_excerpt_is_the_files_own_text(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(
        "X = 1\n\n\nclass A:\n    @property\n    def b(self): return 1  # one\n\n    c = 2\n"
    )
    page = "text\n\n<!-- excerpt: code.py A.b X -->\n```python\nold\n```\n\nmore\n"
    shown = "@property\ndef b(self): return 1  # one\n\n\nX = 1"
    assert with_excerpts(page, tmp_path) == page.replace("old", shown)
    with pytest.raises(LookupError):
        excerpt("X = 1\n", "Y")
