"""`ikto bugreport`: all that is needed to understand a node, in one file, without secrets."""

import gzip
import io
import os
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from ikto_core.cli.examples import examples
from ikto_core.cli.options import DEFAULT_CONFIG, optional_config, socket_option
from ikto_core.cli.progress import progress
from ikto_core.cli.report_parts import Found, Request, parts
from ikto_core.cli.secrets import raw_settings, secrets_of
from ikto_core.disk.atomic_file import create_file
from ikto_core.errors import ConfigError, IktoError, described
from ikto_core.values.redaction import Redactor
from ikto_core.values.text import printable

README = """\
A bug report of Ikto, made by `ikto bugreport`.

Private and preshared keys, passwords, tokens, JWTs, seeds, and the users and passwords of URLs are replaced by
(hidden), in every form in which they may be written. The report still has names, addresses, public keys, routes and
the log of this host: look through it before you give it to others.
"""


@click.command(epilog=examples("ikto bugreport", "ikto bugreport -c config.json -o report.tar.gz"))
@optional_config(f"The configuration file.  [default: {DEFAULT_CONFIG} if it exists]")
@socket_option
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, readable=False),
    help="The file to write, a .tar.gz.",
)
@click.option("--unit", default="ikto", show_default=True, help="The systemd unit whose log is read.")
def bugreport(config_path: Path | None, socket: Path | None, output: Path | None, unit: str) -> int:
    """Collect what is needed to understand this node in one file, without secrets.

    It has the configuration, the agent's status, peers, events and metrics, the log, versions, facts of the host, the
    bucket's records and the device. The agent need not run. The file says what could not be had, and why. Only its
    owner can read it; look through it before you give it to others.
    """
    config_path = config_path or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    path = output or Path(time.strftime("ikto-bugreport-%Y%m%dT%H%M%SZ.tar.gz", time.gmtime()))
    if path.exists():  # before the work
        raise ConfigError(f"{path}: already exists and is not overwritten", hint="give another file with -o")
    request = Request(config_path, socket, unit, os.environ)
    found, failures = Found(), dict[str, str]()
    texts = _collected(parts(request, found), failures)
    redactor = Redactor([*secrets_of(raw_settings(config_path), os.environ), *found.secrets])
    texts["README.txt"] = (README + _listed(failures)).encode()
    create_file(path, _packed({name: redactor.redact(text) for name, text in texts.items()}))
    click.echo(printable(f"{path}: written; look through it before you give it to others"))
    return 0


def _collected(every: Mapping[str, Callable[[], str | bytes]], failures: dict[str, str]) -> dict[str, bytes]:
    """Return the parts that could be had; note in `failures` why the others could not."""
    texts = {}
    for name, part in every.items():
        try:
            with progress(name):
                text = part()
            texts[name] = text.encode(errors="backslashreplace") if isinstance(text, str) else text
        except Exception as error:  # noqa: BLE001 - a part that fails, whatever it is, costs no other part
            failures[name] = _reason(error)
        click.echo(f"{name}: {'not available' if name in failures else 'ok'}", err=True)
    return texts


def _reason(error: Exception) -> str:
    if isinstance(error, IktoError):
        return "; ".join(getattr(error, "problems", ()) or (str(error),))
    return described(error)


def _listed(failures: Mapping[str, str]) -> str:
    if not failures:
        return "\nEverything could be had.\n"
    lines = [printable(f"  {name}: {reason}") for name, reason in failures.items()]
    return "\n".join(["", "What could not be had:", *lines, ""])


def _packed(texts: Mapping[str, bytes]) -> bytes:
    """Return the archive, a .tar.gz."""
    now, file = int(time.time()), io.BytesIO()
    with (
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name, text in sorted(texts.items()):
            member = tarfile.TarInfo(f"ikto-bugreport/{name}")
            member.size, member.mode, member.mtime = len(text), 0o600, now
            archive.addfile(member, io.BytesIO(text))
    return file.getvalue()
