"""The `ikto` program: finds the command, and turns whatever it raises into one line and an exit code.

Nothing here may import what only some commands need: `ikto --help` has to be quick.
"""

import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import click

from ikto_core import __version__
from ikto_core.cli.printing import printable
from ikto_core.errors import ConfigError, IktoError, first_cause

COMMANDS = {
    "init": ("ikto_core.cli.init:init", "Print a configuration with a random private address."),
    "config": ("ikto_core.cli.config:config", "Check a configuration, or describe its members."),
    "key": ("ikto_core.cli.key:key", "Make a private key, show its public one, or rotate an agent's."),
    "bucket": ("ikto_core.cli.bucket:bucket", "Create, show or upgrade the mesh's bucket."),
    "agent": ("ikto_core.cli.agent:agent", "Take part in the mesh: claim, follow, keep the device equal."),
    "info": ("ikto_core.cli.info:info", "Show this host's record and its peers."),
    "status": ("ikto_core.cli.status:status", "Show what the agent sees and does."),
    "peers": ("ikto_core.cli.peers:peers", "List the peers, and let removals go that are held back."),
    "plugins": ("ikto_core.cli.plugins:plugins", "List backends and IPAM strategies, and who brings them."),
    "demo": ("ikto_core.cli.demo:demo", "Watch a mesh form on this machine."),
}
"""Each command's place, `module:attribute`, and its line of help."""


class LazyGroup(click.Group):
    """A group whose commands are imported when one of them is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands' names, in the order of their use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import a command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


class Run:
    """What the command line says about the run itself."""

    debug = False


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_obj
def cli(run: Run, debug: bool) -> None:
    """Build a WireGuard mesh on NATS JetStream."""
    run.debug = debug


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
        return _tell(first_cause(error))
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
    what = ": ".join(filter(None, (type(error).__name__, str(error))))
    return [f"internal error: {what}; run `ikto --debug …` for the traceback"]


def _traceback(error: BaseException) -> str:
    return "\n".join(printable(line) for line in "".join(traceback.format_exception(error)).splitlines())
