"""`ikto why`: explain, link by link, why a peer is reachable or not."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import click

from ikto_core.admin.why_views import Diagnosis, Link, Verdict
from ikto_core.cli.examples import examples
from ikto_core.cli.exit_codes import NOT_KNOWN, NOT_REACHABLE
from ikto_core.cli.formatting import json_text
from ikto_core.cli.logs import log_to_stderr
from ikto_core.cli.marks import mark_text
from ikto_core.cli.options import json_option, not_empty, optional_config, socket_option
from ikto_core.cli.progress import progress
from ikto_core.client import WHY_TIMEOUT_S, AdminClient
from ikto_core.errors import NoAgentError
from ikto_core.values.text import printable

NAME_WIDTH = 10  # of the longest name of a link

config_of_node = optional_config("The node's configuration, to look at bucket, snapshot and device if no agent runs.")


@click.command(epilog=examples("ikto why node-b", "ikto why fd10:2::1 --json"))
@click.argument("target", metavar="PEER|ADDRESS", callback=not_empty)
@socket_option
@config_of_node
@click.option("--no-probe", is_flag=True, help="Send no packets, and answer at once.")
@json_option
def why(target: str, socket: Path | None, config_path: Path | None, *, no_probe: bool, as_json: bool) -> int:
    """Explain why a peer is reachable or not: every link from its record to its answer, and a verdict.

    PEER is a name, a public key or the beginning of one, or a subnet; ADDRESS any address in the mesh, or that of an
    endpoint. The agent sends a few packets to the peer, beside the tunnel and through it. That takes a second, and up
    to half a minute if the peer does not answer.

    Exit code 0: reachable, 22: not reachable, 23: it could not be determined.
    """
    found = ask(target, socket, config_path, probe=not no_probe)
    click.echo(json_text(found) if as_json else "\n".join(lines(found, sys.stdout)))
    return exit_code(found.verdict)


def ask(target: str, socket: Path | None, config_path: Path | None, *, probe: bool) -> Diagnosis:
    """Return the agent's diagnosis; if none runs, that of what can be seen without one. Raises IktoError."""
    with progress(f"looking at {target}"):
        try:
            return AdminClient(socket, timeout_s=WHY_TIMEOUT_S).why(target, probe=probe)
        except NoAgentError as error:
            log_to_stderr("error", as_json=False)
            from ikto_core.cli.why_without_agent import why_without_agent  # noqa: PLC0415 - start-up time: rarely needed

            return why_without_agent(target, error, config_path, probe=probe)


def exit_code(verdict: Verdict) -> int:
    """Return the exit code of a verdict."""
    return NOT_KNOWN if verdict.reachable is None else 0 if verdict.reachable else NOT_REACHABLE


def lines(found: Diagnosis, output: TextIO) -> Iterator[str]:
    """Yield the lines to print: the links, then the verdict."""
    for link in found.links:
        yield _line(link, output)
        for detail in link.details:
            yield f"  {'':{NAME_WIDTH}}  {printable(detail)}"
    yield ""
    yield printable(found.verdict.sentence)


def _line(link: Link, output: TextIO) -> str:
    return f"{mark_text(link.mark, output)} {link.name:{NAME_WIDTH}}  {printable(link.text)}"
