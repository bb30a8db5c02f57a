"""Shell sessions in a page: what is in its fenced blocks, and whether output is what the page shows.

A block `console` is a session, which the tests run. Its lines are commands behind the prompt of a host (`admin$ `,
`node-a# `), lines that continue one (`> `, after a backslash or in a here-document), and the output that the page
promises. In that, `…` stands for any text in a line, and a line of nothing else for any lines.

Before a session that needs tunnels stands `*The tests run this with tunnels.*`: `make test-tunnels` runs it.

A block `sh` is not run. The paragraph before it begins with the reason: `*The tests do not run this: it needs nsc.*`
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
PROMPT = re.compile(r"^(?P<host>[a-z][a-z0-9-]*)[$#] (?P<text>.+)$")
REASON = re.compile(r"^ *\*The tests do not run this: (?P<reason>.+?)\*", re.DOTALL)
TUNNELS = re.compile(r"^ *\*The tests run this with tunnels\.\*")
BASE = re.compile(r"^The examples continue those of \[[^]]+\]\((?P<page>[\w.-]+)\)", re.MULTILINE)
NO_COMMANDS = ("text", "json", "ini")
"""Languages of blocks that show the content of a file."""


class Command(NamedTuple):
    """What is typed at a host, and the lines that it shows."""

    line: int  # in the page, from 1
    host: str
    text: str
    shown: tuple[str, ...]


class Block(NamedTuple):
    """A fenced block of a page."""

    line: int  # of its fence, from 1
    language: str
    text: str  # without the indentation of its fence
    reason: str  # why it is not run, as the paragraph before it says; empty: it says none
    needs_tunnels: bool


def blocks(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in order."""
    for found in FENCE.finditer(page):
        before = page[: found.start()].rstrip().rpartition("\n\n")[2]
        reason = REASON.match(before)
        text = "".join(line.removeprefix(found["indent"]) for line in found["text"].splitlines(keepends=True))
        line = page.count("\n", 0, found.start()) + 1
        yield Block(line, found["language"], text, reason["reason"] if reason else "", bool(TUNNELS.match(before)))


def commands(page: str, *, tunnels: bool = False) -> list[Command]:
    """Return the commands of a page's sessions, in order; with tunnels also those that need some.

    Raises ValueError for a session that does not start with a command.
    """
    sessions = (block for block in blocks(page) if block.language == "console" and (tunnels or not block.needs_tunnels))
    return [command for block in sessions for command in _commands(block)]


def _commands(block: Block) -> Iterator[Command]:
    command: Command | None = None
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if prompt := PROMPT.match(line):
            if command:
                yield command
            command = Command(number, prompt["host"], prompt["text"], ())
        elif command is None:
            raise ValueError(f"line {number}: a session starts with a command, such as: admin$ ikto --version")
        elif line.startswith("> ") and not command.shown:
            command = command._replace(text=f"{command.text}\n{line[2:]}")
        else:
            command = command._replace(shown=(*command.shown, line))
    if command:
        yield command


def hosts_of(command: Command) -> set[str]:
    """Return the names of the hosts that a command is about: its own, and those of HOST:/PATH."""
    return {command.host, *re.findall(r"(?<![\w./-])([a-z][a-z0-9-]*):/(?!/)", command.text)}


def base(page: str) -> str:
    """Return the file name of the page whose sessions come before those of this page; empty: none do."""
    found = BASE.search(page)
    return found["page"] if found else ""


def with_bases(page: Path) -> Iterator[Path]:
    """Yield the pages whose sessions lead to this page, first the one that starts, last this one."""
    name = base(page.read_text())
    if name:
        yield from with_bases(page.with_name(name))
    yield page


def is_as_shown(output: str, shown: Sequence[str]) -> bool:
    """Return whether output is what a page shows. How wide the columns of a table are does not matter."""
    pattern = "".join("(?:.*\n)*" if line.strip() == "…" else f"{_pattern(line)}\n" for line in shown)
    lines = "".join(f"{_narrow(line)}\n" for line in output.splitlines())
    return re.fullmatch(pattern, lines) is not None


def _pattern(line: str) -> str:
    return ".*".join(map(re.escape, _narrow(line).split("…")))


def _narrow(line: str) -> str:
    return re.sub(" {2,}", "  ", line.rstrip())
