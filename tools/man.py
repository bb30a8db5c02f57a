"""The manual pages, made from the commands and their texts of help: `ikto.1`, and one page for each command."""

import re
from collections.abc import Iterator, Sequence

import click

from ikto_core.cli.examples import TITLE
from ikto_core.cli.main import COMMANDS, Run, cli

FILES = (
    ("/etc/ikto/config.json", "the configuration, unless -c gives another file"),
    ("/run/ikto/ikto.sock", "the socket of the agent that the unit runs"),
    ("/var/lib/ikto", "the agents' state, one directory per device"),
)
ENVIRONMENT = (
    ("IKTO_SOCKET", "the agent's socket, unless -s gives another path"),
    ("IKTO_SETTING", "a setting of the configuration, such as IKTO_WG_PORT for wg_port"),
    ("NO_COLOR", "no colours, if it is set and not empty"),
)
STATUS = (
    ("0", "it was done, or all is well"),
    ("1", "any other error"),
    ("2", "wrong command line"),
    ("3", "wrong configuration"),
    ("4", "the address is in use or was lost"),
    ("5", "NATS is unreachable, the bucket is missing, or access is denied"),
    ("6", "the backend failed"),
    ("7", "a plugin is missing, broken, blocked or ambiguous"),
    ("8", "the credentials do not give the right to the node's record"),
    ("9", "no failure: an operator had the agent end (leave, down)"),
    ("20", "diff and plan: something would be changed"),
    ("21", "doctor: a check found an error"),
    ("22", "why and ping: the peer is not reachable"),
    ("23", "why and ping: whether the peer is reachable could not be determined"),
    ("24", "wait: what it waits for has not happened in time"),
    ("25", "status: the agent runs, and its device does not show the mesh yet"),
    ("26", "status: something is wrong with the node"),
    ("141", "any command: the reader of its output closed the pipe"),
)


def pages() -> dict[str, str]:
    """Return the text of each page by its file's name."""
    found = {"ikto.1": _program()}
    for name, (_, summary) in COMMANDS.items():
        command = cli.get_command(click.Context(cli, obj=Run()), name)
        if command is None:
            raise LookupError(name)
        found[f"ikto-{name}.1"] = _page(name, summary, command)
    return found


def _program() -> str:
    commands = [(f"ikto-{name}(1)", summary) for name, (_, summary) in COMMANDS.items()]
    return _text(
        _head("ikto", "build a WireGuard mesh, coordinated by NATS JetStream"),
        [".SH SYNOPSIS", r".B ikto", "[OPTIONS] COMMAND [ARGS]..."],
        _description(cli),
        [".SH COMMANDS", *_terms(commands)],
        _options(cli),
        _examples(cli),
        [".SH ENVIRONMENT", *_terms(ENVIRONMENT)],
        [".SH FILES", *_terms(FILES)],
        [".SH EXIT STATUS", *_terms(STATUS)],
    )


def _page(name: str, summary: str, command: click.Command) -> str:
    parts = [_head(f"ikto-{name}", summary.rstrip(".")), *_one(f"ikto {name}", command, ".SH")]
    if isinstance(command, click.Group):
        for child, found in command.commands.items():
            parts.append([f'.SH "ikto {_escaped(name)} {_escaped(child)}"'])
            parts += _one(f"ikto {name} {child}", found, ".SS")
    return _text(*parts, [".SH SEE ALSO", "\\fBikto\\fR(1)"])


def _one(usage: str, command: click.Command, heading: str) -> list[list[str]]:
    """Return the parts about one command, under headings of one level."""
    arguments = " ".join(_argument(each) for each in command.params if isinstance(each, click.Argument))
    if isinstance(command, click.Group):
        arguments = "[COMMAND]" if command.invoke_without_command else "COMMAND"
    synopsis = [f"{heading} SYNOPSIS", f".B {_escaped(usage)}", _escaped(f"[OPTIONS] {arguments}".strip())]
    return [synopsis, _description(command, heading), _options(command, heading), _examples(command, heading)]


def _argument(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    return name if argument.required or argument.metavar else f"[{name}]"


def _head(title: str, summary: str) -> list[str]:
    return [
        '.\\" Written by `make reference` from the text of help.',
        f'.TH {title.upper()} 1 "" "Ikto" "Ikto Manual"',
        ".SH NAME",
        f"{_escaped(title)} \\- {_escaped(summary[0].lower() + summary[1:])}",
    ]


def _description(command: click.Command, heading: str = ".SH") -> list[str]:
    paragraphs = (command.help or "").replace("\b", "").strip().split("\n\n")
    lines = [f"{heading} DESCRIPTION"]
    for number, paragraph in enumerate(paragraphs):
        lines += [".PP"] * (number > 0) + [_escaped(" ".join(paragraph.split()))]
    return lines


def _options(command: click.Command, heading: str = ".SH") -> list[str]:
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    terms = [(_flags(option), _help(option)) for option in options]
    return [f"{heading} OPTIONS", *_terms([*terms, ("-h, --help", "Show the text of help and exit.")])]


def _flags(option: click.Option) -> str:
    if option.is_flag:
        return ", ".join(option.opts)
    if option.metavar:
        value = option.metavar
    elif isinstance(option.type, click.Choice):
        value = "|".join(map(str, option.type.choices))
    else:
        value = option.type.name.upper()
    return f"{', '.join(option.opts)} {value}"


def _help(option: click.Option) -> str:
    text = " ".join((option.help or "").split())
    return f"{text}  [default: {option.default}]" if option.show_default and not option.is_flag else text


def _examples(command: click.Command, heading: str = ".SH") -> list[str]:
    _, _, lines = (command.epilog or "").partition(f"{TITLE}\n")
    if not lines:
        return []
    return [f"{heading} EXAMPLES", ".nf", *(_escaped(line.strip()) for line in lines.splitlines()), ".fi"]


def _terms(terms: Sequence[tuple[str, str]]) -> Iterator[str]:
    for term, text in terms:
        yield from (".TP", f"\\fB{_escaped(term)}\\fR", _escaped(text))


_ROFF = str.maketrans(
    {"\\": "\\e", "-": "\\-", "→": "\\->", "…": "...", "√": "ok", "✓": "ok", "‼": "!!", "×": "xx", "✗": "xx"}
)


def _escaped(text: str) -> str:
    """Return a text for roff: nothing in it is a request or an escape, and a hyphen can be copied."""
    plain = (
        text.replace("\\", "\\e")
        .replace("-", "\\-")
        .replace("√", "ok")
        .replace("✓", "ok")
        .replace("‼", "!!")
        .replace("×", "xx")
        .replace("✗", "xx")
    )
    return re.sub(r"^(?=[.'])", r"\\&", plain).replace("→", "\\->").replace("…", "...")


def _text(*parts: Sequence[str]) -> str:
    return "".join(f"{line}\n" for part in parts for line in part)
