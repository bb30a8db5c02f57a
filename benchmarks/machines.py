"""Runs benchmarks/wireguard.py in an emulated machine with the kernel's WireGuard, and in a local network namespace."""

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
the kernel's WireGuard in the machine of tests/kernel/vm.sh. It has two emulated processors: emulation slows Python
  more than the kernel, and wgtool and `wg` can run in parallel (docs/decisions/0015-speed-of-writing.md)."""
_ENVIRONMENTS = {  # the command prefix that runs a program there, and a note for the results
    "emulated": (
        ("env", "IKTO_VM_PROCESSORS=2", str(ROOT / "tests/kernel/vm.sh")),
        _EMULATED,
    ),
    "namespace": (
        ("unshare", "--net", "--mount", "sh", "-c", _OWN_SOCKETS, "sh"),
        "a network namespace on this machine, with the kernel's WireGuard if it has one, otherwise a userspace one.",
    ),
}


def wireguard() -> tuple[list[Finding], list[str]]:
    """Return the findings of each environment, and notes; a note says why an environment could not be measured."""
    findings, notes = [], []
    for name, (prefix, note) in _ENVIRONMENTS.items():
        ran = _run((*prefix, *MEASURE))
        if ran.returncode:
            output = (ran.stdout + ran.stderr).strip().splitlines() or ["it printed no reason"]
            notes.append(f"- {name}: **not measured**: {output[-1]}")
            continue
        found = msgspec.json.decode(ran.stdout.splitlines()[-1], type=list[Finding])
        findings += [replace(one, what=f"{name}: {one.what}") for one in found]
        notes.append(f"- {name}: {note}")
    return findings, notes


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
