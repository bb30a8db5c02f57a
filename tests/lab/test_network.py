"""Programs and hosts that a demo and tests build on."""

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


def test_a_program_that_ctrl_c_met_on_its_way_is_run_again(tmp_path: Path) -> None:
    assert run(sys.executable, "-c", ONCE_INTERRUPTED, str(tmp_path / "interrupted")) == "done\n"
    assert (tmp_path / "interrupted").exists()


def test_a_program_that_fails_is_named_with_the_last_that_it_said() -> None:
    with pytest.raises(IktoError, match=r"^sh -c .*: what is wrong$"):
        run("sh", "-c", "for line in usage more 'what is wrong'; do echo $line >&2; done; exit 3")
    with pytest.raises(IktoError, match=r"^sh -c 'exit 3': exit code 3$"):
        run("sh", "-c", "exit 3")
    with pytest.raises(IktoError, match="no-such-program can't be run"):
        run("no-such-program")


def test_this_machine_is_a_host_too() -> None:
    assert THIS_MACHINE.within == ()
    assert THIS_MACHINE.call(os.getpid) == os.getpid()


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
@pytest.mark.skipif(shutil.which("ip") is None, reason="not installed: ip")
def test_a_function_that_a_host_calls_has_the_sockets_of_the_host() -> None:
    def listens() -> str:
        with socket.create_server((hub.address, 0)) as server:
            return str(server.getsockname()[0])

    with network(0) as (hub, _):
        assert hub.call(listens) == "10.66.0.254"
        with pytest.raises(OSError, match="assign requested address"):
            listens()
    assert hub.namespace not in namespaces()
