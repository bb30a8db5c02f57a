"""Where benchmarks/wireguard.py is run: in an emulated machine with the kernel's WireGuard, and in a namespace here."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from benchmarks.report import Finding

ROOT = Path(__file__).parent.parent
MEASURE = (sys.executable, "-m", "benchmarks.wireguard")

_OWN_SOCKETS = 'mkdir -p /var/run/wireguard && mount -t tmpfs ikto /var/run/wireguard && exec "$@"'
_EMULATED = """\
the kernel's WireGuard in the machine of tests/kernel/vm.sh. Its processors are emulated, which slows Python down
  most, and two: wgtool writes on one what `wg` reads on the other (docs/decisions/0015-speed-of-writing.md)."""
_PLACES = {  # each with how a program is run there, and what is to be known of it
    "emulated": (
        ("env", "IKTO_VM_PROCESSORS=2", str(ROOT / "tests/kernel/vm.sh")),
        _EMULATED,
    ),
    "namespace": (
        ("unshare", "--net", "--mount", "sh", "-c", _OWN_SOCKETS, "sh"),
        "a network namespace of this machine; the kernel's WireGuard if it has one, else a userspace one.",
    ),
}


def wireguard() -> tuple[list[Finding], list[str]]:
    """Return what was found in each place, and what is to be said of it: also why nothing was found."""
    findings, notes = [], []
    for place, (prefix, note) in _PLACES.items():
        ran = _run((*prefix, *MEASURE))
        if ran.returncode:
            said = (ran.stdout + ran.stderr).strip().splitlines() or ["it did not say why"]
            notes.append(f"- {place}: **not measured**: {said[-1]}")
            continue
        found = msgspec.json.decode(ran.stdout.splitlines()[-1], type=list[Finding])
        findings += [replace(one, what=f"{place}: {one.what}") for one in found]
        notes.append(f"- {place}: {note}")
    return findings, notes


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
