"""`ikto status` shows the agent's state on one screen, and foreign text in it is escaped."""

import json
import os
import pty
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from ikto_core.admin.device_views import DevicePeerView, DeviceView
from ikto_core.admin.mesh_views import QuarantinedView
from ikto_core.admin.views import AgentState, CountersView, NatsView, SnapshotView, StatusView
from ikto_core.cli.health import health_code
from ikto_core.cli.status import sections
from ikto_core.cli.status import status as status_command
from ikto_core.cli.tables import MOST_SHOWN
from ikto_core.testing.devices import public_key_of
from ikto_core.values.counters import ConnectionCounters, FollowerCounters, ReconcileCounters, SnapshotCounters
from ikto_core.values.times import utc
from tests.samples import KEYS

NOW = 1_700_000_000.0


def peer(number: int, last_handshake: float | None = None) -> DevicePeerView:
    return DevicePeerView(
        public_key=KEYS[number].text,
        name=f"node-{number}" if last_handshake else None,
        endpoint=f"192.0.2.{number}:51820" if last_handshake else None,
        allowed_ips=(f"fd10:{number:x}::/48",),
        last_handshake=utc(last_handshake),
        rx_bytes=1536,
        tx_bytes=0,
    )


DEVICE = DeviceView(
    listen_port=51820,
    mtu=1420,
    up=True,
    addresses=("fd10:1::1/16",),
    fwmark=0,
    peers=(peer(2, NOW - 12), peer(3)),
)
STATUS = StatusView(
    state=AgentState.READY,
    version="1",
    name="node-a",
    public_key=public_key_of(1).text,
    private_address="fd10:1::1",
    allowed_ip="fd10:1::/48",
    ifname="wg0",
    backend="fake",
    nats=NatsView(connected=True, server="nats://127.0.0.1:4222", failure=None),
    snapshot=SnapshotView(in_use=False, revision=41, saved_at=utc(NOW - 60), failure=None),
    revision=41,
    bucket_revision=41,
    accepted=2,
    quarantined=(),
    pending_removals=(),
    device=DEVICE,
    device_failure=None,
    counters=CountersView(
        follower=FollowerCounters(pushes=1, whole_walks=1, catch_ups=1),
        reconcile=ReconcileCounters(full_passes=1, quick_passes=1, peers_written=2),
        connection=ConnectionCounters(),
        snapshot=SnapshotCounters(),
    ),
)
DEGRADED = replace(
    STATUS,
    state=AgentState.DEGRADED,
    nats=NatsView(connected=False, server=None, failure="no answer"),
    revision=40,
    device=None,
    device_failure="wg0: no buffer space",
    device_hint="add some",
    pending_removals=(public_key_of(9).text,),
    frequent_records=("fd10:4::/48",),
    pending_key_changes=("fd10:2::/48", "fd10:3::/48"),
    quarantined=(
        QuarantinedView(key="peers.x", allowed_ip=None, revision=7, reason="its key is not base64url"),
        QuarantinedView(key="peers.y", allowed_ip="fd10:2:0:1::/64", revision=8, reason="overlaps peer-2"),
    ),
)


@contextmanager
def agent(view: StatusView) -> Iterator[Path]:
    """Serve one request like an agent with this status."""
    body = msgspec.json.encode(view)
    with tempfile.TemporaryDirectory(prefix="ikto-") as name, socket.socket(socket.AF_UNIX) as listener:
        path = Path(name) / "ikto.sock"
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        thread = threading.Thread(target=answer)
        thread.start()
        yield path
        thread.join()


def plain(view: StatusView) -> str:
    """Return the output in a pipe at the time NOW."""
    with pytest.MonkeyPatch.context() as patch, agent(view) as path:
        patch.setattr("time.time", lambda: NOW)
        result = CliRunner().invoke(status_command, ["-s", str(path)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_a_healthy_agent_fits_on_a_screen() -> None:
    assert (
        plain(STATUS)
        == f"""\
state       ready
name        node-a
public key  {public_key_of(1).text}
address     fd10:1::1 in fd10:1::/48
NATS        connected to nats://127.0.0.1:4222
revision    device at 41 of 41
peers       2 accepted, 2 on the device, 0 pending removals
device      wg0 (fake): up, port 51820, MTU 1420, fd10:1::1/16

Peers on the device (2):
  NAME     SUBNET       KEY       ENDPOINT         HANDSHAKE  RECEIVED  SENT
  node-2   fd10:2::/48  {KEYS[2].text[:8]}  192.0.2.2:51820  12 s ago   1.5 KiB   0 B
  unknown  fd10:3::/48  {KEYS[3].text[:8]}  none             never      1.5 KiB   0 B
"""
    )


def test_failures_are_shown_with_their_reasons() -> None:
    assert (
        plain(DEGRADED)
        == f"""\
state       degraded
name        node-a
public key  {public_key_of(1).text}
address     fd10:1::1 in fd10:1::/48
NATS        not connected: no answer
revision    device at 40 of 41
peers       2 accepted, 1 pending removal, 2 pending key changes, 2 quarantined
device      wg0 (fake): missing or unreadable
failure     wg0: no buffer space
hint        add some

Quarantined records (2):
  peers.x          revision 7  its key is not base64url
  fd10:2:0:1::/64  revision 8  overlaps peer-2

Pending removals; `ikto peers release` applies them now (1):
  {public_key_of(9).text}

Pending key changes; `ikto peers release` applies them now (2):
  fd10:2::/48
  fd10:3::/48

Records that change too often; the latest change may wait (1):
  fd10:4::/48
"""
    )


def test_stalled_peers_are_counted_and_marked() -> None:
    text = plain(replace(STATUS, device=replace(DEVICE, peers=(replace(peer(2, NOW - 12), stalled=True), peer(3)))))
    assert "peers       2 accepted, 2 on the device, 1 stalled, 0 pending removals\n" in text
    assert "192.0.2.2:51820  12 s ago, stalled  1.5 KiB" in text


def test_json_is_the_complete_answer_of_the_agent() -> None:
    with agent(DEGRADED) as path:
        result = CliRunner().invoke(status_command, ["-s", str(path), "--json"])
    assert json.loads(result.output) == json.loads(msgspec.json.encode(DEGRADED))


def test_a_long_list_is_cut_and_ends_with_the_number_left_out() -> None:
    quarantined = tuple(
        QuarantinedView(key=f"peers.{n}", allowed_ip=None, revision=n, reason="bad " * 1000) for n in range(1000)
    )
    text = plain(replace(STATUS, quarantined=quarantined))
    assert "Quarantined records (1000):\n" in text
    assert f"  … and {1000 - MOST_SHOWN} more (--json has all)\n" in text
    assert max(map(len, text.splitlines())) < 300


HOSTILE = "\x1b[2J\x9b31m[red]x[/red]\r\nstate  ready\u202e"


def with_hostile_text(view: StatusView) -> StatusView:
    quarantined = QuarantinedView(key=HOSTILE, allowed_ip=None, revision=1, reason=HOSTILE)
    nats = NatsView(connected=False, server=None, failure=HOSTILE)
    return replace(view, name=HOSTILE, quarantined=(quarantined,), nats=nats, device_failure=HOSTILE)


def test_foreign_text_is_escaped_in_a_pipe() -> None:
    text = plain(with_hostile_text(STATUS))
    assert all(char == "\n" or char.isprintable() for char in text)
    assert text.count("[red]x[/red]") == 5
    assert text.startswith("state       ready\n")


def on_a_terminal(view: StatusView) -> str:
    command = [sys.executable, "-c", "from ikto_core.cli.main import main; main()", "status", "-s"]
    controller, terminal = pty.openpty()
    with agent(view) as path:
        environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "160", "NO_COLOR": ""}
        with subprocess.Popen([*command, str(path)], stdout=terminal, env=environ) as process:
            os.close(terminal)
            text = b"".join(iter(lambda: _read(controller), b""))
    os.close(controller)
    assert process.returncode == health_code(view)
    return text.decode().replace("\r\n", "\n")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # EIO: the other end is closed
        return b""


COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def test_a_terminal_gets_colour_and_the_same_text() -> None:
    text = on_a_terminal(DEGRADED)
    assert re.search(r"\x1b\[31mdegraded *\x1b\[0m", text)
    words = COLOUR.sub("", text).split()
    assert words == plain(DEGRADED).split()


def test_foreign_text_is_escaped_on_a_terminal() -> None:
    text = COLOUR.sub("", on_a_terminal(with_hostile_text(STATUS)))
    assert all(char == "\n" or char.isprintable() for char in text)
    assert text.count("[red]x[/red]") == 5


def test_a_device_without_peers_has_no_list_of_peers() -> None:
    titles = [section.title for section in sections(replace(STATUS, device=replace(DEVICE, peers=())), NOW)]
    assert titles == [""]
