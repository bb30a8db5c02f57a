"""The `ikto` program: finds the command, and turns whatever it raises into one line and an exit code.

Nothing here may import what only some commands need: `ikto --help` has to be quick.
"""

import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import click

from ikto_core import __version__
from ikto_core.cli.plugin_commands import Brought
from ikto_core.cli.printing import printable
from ikto_core.errors import ConfigError, IktoError, PluginError, first_cause
from ikto_core.plugins.reserved_commands import COMMANDS as COMMANDS  # noqa: PLC0414 - they are known by this place, too


class Run:
    """What the command line says about the run itself, and whose command it is."""

    def __init__(self) -> None:
        self.debug = False
        self.brought = Brought()
        self.whose = ""  # a plugin's command, and who brings it; empty: one of our own

    def blamed(self, error: BaseException) -> BaseException:
        """Return an error that nobody expected of a plugin's command as one that says whose it is."""
        if not self.whose or isinstance(error, IktoError):
            return error
        return PluginError(f"{self.whose} failed: {_what(error)}", hint="run `ikto --debug …` for the traceback")


class LazyGroup(click.Group):
    """A group whose commands are imported when one of them is run; plugins bring more, and can't replace any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names, in the order of their use; then those that plugins bring."""
        return [*COMMANDS, *(name for name, _ in ctx.ensure_object(Run).brought.rows())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of that name. Raises PluginError for one that can't be had."""
        if cmd_name in COMMANDS:
            module, _, attribute = COMMANDS[cmd_name][0].partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        run = ctx.ensure_object(Run)
        if theirs := run.brought.command(cmd_name):
            run.whose = f"`ikto {cmd_name}` of {run.brought.provider(cmd_name)}"
        return theirs

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them; then those that plugins bring, with who brings them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])
        if rows := ctx.ensure_object(Run).brought.rows():
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, printable(summary)) for name, summary in rows])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_obj
def cli(run: Run, debug: bool) -> None:
    """Build a WireGuard mesh on NATS JetStream."""
    run.debug = debug


@cli.result_callback()
@click.pass_obj
def _exit_code(run: Run, /, returned: object, **_: object) -> object:
    """Return what a command of ours returns; a plugin's is click's, to which that is no exit code."""
    return None if run.whose else returned


def main() -> None:
    """Run the program and exit: 2 for a wrong command line, an IktoError's own code, 130 when interrupted."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; errors are told on stderr."""
    this_run = Run()
    try:
        code = cli.main(list(arguments), prog_name="ikto", standalone_mode=False, obj=this_run)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except Exception as error:  # noqa: BLE001 - the one place that turns what nobody expected into a line
        if this_run.debug:
            click.echo(_traceback(error), err=True)
        return _tell(this_run.blamed(first_cause(error)))
    return code if isinstance(code, int) else 0


def _tell(error: BaseException) -> int:
    """Print an error on stderr, in one line for each problem, and return its exit code."""
    for line in _lines(error):
        click.echo(printable(f"ikto: {line}"), err=True)
    return error.exit_code if isinstance(error, IktoError) else 1


def _lines(error: BaseException) -> Sequence[str]:
    if isinstance(error, ConfigError) and error.problems:
        return error.problems
    if isinstance(error, IktoError):
        return [f"{error} ({error.hint})" if error.hint else str(error)]
    return [f"internal error: {_what(error)}; run `ikto --debug …` for the traceback"]


def _what(error: BaseException) -> str:
    return ": ".join(filter(None, (type(error).__name__, str(error))))


def _traceback(error: BaseException) -> str:
    return "\n".join(printable(line) for line in "".join(traceback.format_exception(error)).splitlines())
