"""Runs programs. Maps their error messages to BackendError, in this one place."""

import os
import subprocess
from tempfile import TemporaryFile

from ikto_core.plugins import BackendError

TIMEOUT_S = 60.0
RIGHTS = "Run as root: this needs CAP_NET_ADMIN, /dev/net/tun and /var/run/wireguard."
_PACKAGES = {"ip": "iproute2"}


def run(*argv: str, stdin: str = "") -> str:
    """Run a program and return what it printed. Raises BackendError if it fails, is missing, or takes a minute.

    The program gets none of the agent's environment except PATH. A process that it leaves behind outlives the agent.
    """
    with TemporaryFile("w+") as output:  # no pipe: the process that wireguard-go leaves behind would keep it open
        try:
            done = subprocess.run(  # noqa: S603 - no shell, fixed arguments
                argv,
                input=stdin, text=True, stdout=output, stderr=output, check=False, timeout=TIMEOUT_S,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}, cwd="/", start_new_session=True,
            )  # fmt: skip
        except FileNotFoundError:
            package = _PACKAGES.get(argv[0], argv[0])
            raise BackendError(f"there is no program {argv[0]!r}", hint=f"Install the package {package}.") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BackendError(f"{argv[0]} can't be run: {error}") from None
        output.seek(0)
        if done.returncode:
            raise _error(argv[0], output.read())
        return output.read()


def _error(program: str, output: str) -> BackendError:
    denied = any(words in output.lower() for words in ("not permitted", "permission denied"))
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith("Command failed")]
    return BackendError(f"{program}: {lines[-1] if lines else 'it failed'}", hint=RIGHTS if denied else "")
