"""The `ikto` program: finds the command, runs it, and turns errors into one line and an exit code.

Nothing here may import what only some commands need: `ikto --help` must start fast.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from errno import EIO, ENOSPC, EPIPE
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

import click

from ikto_core import __version__
from ikto_core.cli.closed_output import ReaderGoneError, output_error, reader_is_gone
from ikto_core.cli.examples import examples
from ikto_core.cli.exit_codes import READER_GONE
from ikto_core.cli.groups import SuggestingGroup
from ikto_core.cli.plugin_commands import PluginCommands
from ikto_core.errors import ConfigError, IktoError, PluginError, first_cause
from ikto_core.plugins.reserved_commands import COMMANDS as COMMANDS  # noqa: PLC0414 - tests and tools import it from here
from ikto_core.values.text import printable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMPLETE_VARIABLE = "_IKTO_COMPLETE"
"""Set by the scripts that complete commands in a shell."""


class Run:
    """The state of one run: global options, and which plugin's command is running."""

    def __init__(self) -> None:
        self.debug = False
        self.as_json = False
        self.plugin_commands = PluginCommands()
        self.plugin_command = ""  # the plugin's command that runs, and its distribution; empty: a built-in command

    def with_provider(self, error: BaseException) -> BaseException:
        """Return an unexpected error of a plugin's command as a PluginError that names the command and its provider."""
        if not self.plugin_command or isinstance(error, IktoError):
            return error
        return PluginError(
            f"{self.plugin_command} failed: {_describe(error)}", hint="run `ikto --debug …` for the traceback"
        )


class LazyGroup(SuggestingGroup):
    """A group that imports a command only to run it. Plugins can add commands, but not replace built-in ones."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the built-in commands, in the order of their use, then those of plugins."""
        return [*COMMANDS, *(name for name, _ in ctx.ensure_object(Run).plugin_commands.rows())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if the name is unknown. Raises PluginError if a plugin's command is unusable."""
        if cmd_name in COMMANDS:
            module, _, attribute = COMMANDS[cmd_name][0].partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        run = ctx.ensure_object(Run)
        if plugin_command := run.plugin_commands.command(cmd_name):
            run.plugin_command = f"`ikto {cmd_name}` of {run.plugin_commands.provider(cmd_name)}"
        return plugin_command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list["CompletionItem"]:
        """Return the commands and options that begin with a text, without importing the commands."""
        from ikto_core.cli.completion import top_level  # noqa: PLC0415 - start-up time

        names = {name: summary for name, (_, summary) in COMMANDS.items()}
        names |= dict(ctx.ensure_object(Run).plugin_commands.rows())
        return [*top_level(names, incomplete), *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the built-in commands, then those of plugins with their distributions. Nothing is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])
        commands = ctx.ensure_object(Run).plugin_commands
        rows, unlisted = commands.rows(), commands.unlisted()
        if rows or unlisted:
            with formatter.section("Plugin commands"):
                if rows:
                    formatter.write_dl([(name, printable(summary)) for name, summary in rows])
                if unlisted:
                    formatter.write_text(printable(f"`ikto plugins` lists those of {', '.join(unlisted)}, if any."))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "ikto doctor --pre",
        "ikto agent",
        "ikto status",
    ),
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Build a WireGuard mesh, coordinated by NATS JetStream.

    With --json, an error is JSON on standard error, too. With NO_COLOR in the environment there are no colours.
    """
    context.ensure_object(Run).debug = debug
    if os.environ.get("NO_COLOR"):  # https://no-color.org
        context.color = False


@cli.result_callback()
@click.pass_obj
def _exit_code(run: Run, /, returned: object, **_: object) -> object:
    """Return a built-in command's result, which is its exit code; the result of a plugin's command is ignored."""
    return None if run.plugin_command else returned


def main() -> None:
    """Run the program and exit: 2 for a wrong command line, an IktoError's own code, 130 when interrupted.

    Exit code 1 if standard output can't be written, READER_GONE without a word if its reader closed it. A name that the
    terminal can't encode is escaped.
    """
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = run(sys.argv[1:])
        _flush(sys.stdout)
    except SystemExit:  # click's answer to a closed pipe
        if not reader_is_gone():
            raise
        code = READER_GONE
    except OSError as error:
        code = _print_error(output_error(error))
    _discard_unwritable()
    sys.exit(code)


def _open_closed_streams() -> None:
    """Open closed standard streams on /dev/null, or the next file or socket would be what programs write to."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it has this number, the lowest that is free
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - a descriptor, open to the end
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _discard_unwritable() -> None:
    """Let what can't be written go to nowhere: the interpreter flushes once more at its end, and would complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            _flush(stream)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _flush(stream: TextIO | None) -> None:
    if stream:
        stream.flush()


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. Errors are printed on stderr."""
    if COMPLETE_VARIABLE in os.environ:
        import_module("ikto_core.cli.completion").answer_scripts()
    this_run = Run()
    this_run.as_json = wants_json(arguments)
    try:
        code = cli.main(list(arguments), prog_name="ikto", standalone_mode=False, obj=this_run)
    except click.ClickException as error:
        if this_run.as_json:
            _echo_json(error.format_message(), exit_code=error.exit_code)
        else:
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except Exception as error:  # noqa: BLE001 - the one place that reports unexpected errors
        if this_run.debug:
            click.echo(_traceback(error), err=True)
        cause = this_run.with_provider(_explained(first_cause(error)))
        _discard_unwritable()  # or the same error came once more, when the rest is flushed
        return _print_error(cause, as_json=this_run.as_json)
    return code if isinstance(code, int) else 0


def _explained(error: BaseException) -> BaseException:
    """Return an error of a write without a file name, which is one of standard output, as an IktoError."""
    if isinstance(error, OSError) and error.errno in (ENOSPC, EPIPE, EIO) and error.filename is None:
        return output_error(error)
    return error


def wants_json(arguments: Sequence[str]) -> bool:
    """Return whether `--json` is among the options of a command line."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def _print_error(error: BaseException, *, as_json: bool = False) -> int:
    """Print an error on stderr, one line per problem or one JSON object, and return its exit code."""
    code = error.exit_code if isinstance(error, IktoError) else 1
    if isinstance(error, ReaderGoneError):
        return code
    with suppress(OSError):  # standard error can't be written either: the exit code says it
        if as_json:
            hint, problems = getattr(error, "hint", ""), getattr(error, "problems", ())
            text = str(error) if isinstance(error, IktoError) else _error_lines(error)[0]
            _echo_json(text, hint=hint, problems=problems, exit_code=code)
        else:
            for line in _error_lines(error):
                click.echo(printable(f"ikto: {line}"), err=True)
    return code


def _echo_json(text: str, *, exit_code: int, hint: str = "", problems: Sequence[str] = ()) -> None:
    """Print an error as a JSON object on stderr: ASCII, so that it can't control a terminal."""
    import json  # noqa: PLC0415 - start-up time

    answer = {"error": text, "hint": hint, "problems": list(problems), "exit_code": exit_code}
    click.echo(json.dumps({name: value for name, value in answer.items() if value not in ("", [])}), err=True)


def _error_lines(error: BaseException) -> Sequence[str]:
    if isinstance(error, ConfigError) and error.problems:
        return error.problems
    if isinstance(error, IktoError):
        return [f"{error} ({error.hint})" if error.hint else str(error)]
    return [f"internal error: {_describe(error)}; run `ikto --debug …` for the traceback"]


def _describe(error: BaseException) -> str:
    return ": ".join(filter(None, (type(error).__name__, str(error))))


def _traceback(error: BaseException) -> str:
    import traceback  # noqa: PLC0415 - start-up time

    return "\n".join(printable(line) for line in "".join(traceback.format_exception(error)).splitlines())
