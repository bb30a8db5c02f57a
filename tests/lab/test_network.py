"""Running programs, and hosts in network namespaces."""

import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from ikto_core.errors import IktoError
from ikto_core.lab.network import THIS_MACHINE, namespaces, network, run

ONCE_INTERRUPTED = """
import os, signal, sys
if not os.path.exists(sys.argv[1]):
    open(sys.argv[1], "w").close()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
print("done")
"""


def test_a_program_interrupted_before_its_own_session_is_run_again(tmp_path: Path) -> None:
    assert run(sys.executable, "-c", ONCE_INTERRUPTED, str(tmp_path / "interrupted")) == "done\n"
    assert (tmp_path / "interrupted").exists()


def test_the_error_of_a_failed_program_has_its_last_line_of_output() -> None:
    with pytest.raises(IktoError, match=r"^sh -c .*: what is wrong$"):
        run("sh", "-c", "for line in usage more 'what is wrong'; do echo $line >&2; done; exit 3")
    with pytest.raises(IktoError, match=r"^sh -c 'exit 3': exit code 3$"):
        run("sh", "-c", "exit 3")
    with pytest.raises(IktoError, match="no-such-program can't be run"):
        run("no-such-program")


def test_this_machine_can_be_used_as_a_host() -> None:
    assert THIS_MACHINE.exec_prefix == ()
    assert THIS_MACHINE.call(os.getpid) == os.getpid()


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
@pytest.mark.skipif(shutil.which("ip") is None, reason="not installed: ip")
def test_a_function_called_on_a_host_opens_sockets_of_that_host() -> None:
    def listen() -> str:
        with socket.create_server((hub.address, 0)) as server:
            return str(server.getsockname()[0])

    with network(0) as (hub, _):
        assert hub.call(listen) == "10.66.0.254"
        with pytest.raises(OSError, match="assign requested address"):
            listen()
    assert hub.namespace not in namespaces()
