"""The groups of measures: their order, and what RESULTS.md says about each."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

GroupName = Literal[
    "notice",
    "following",
    "folding",
    "passes",
    "writing",
    "starting",
    "fleet",
    "answers",
    "emulated",
    "first-contact",
]


class Group(NamedTuple):
    """What is common to the rows of a group."""

    title: str
    note: str
    long: bool = False  # `make bench` leaves it out: it needs minutes, or an emulated machine


GROUPS: Mapping[GroupName, Group] = {
    "notice": Group(
        "A new record is noticed",
        "From the write of a record until the mesh view has it, beside a bare core NATS subscriber of the same "
        "subject.",
    ),
    "following": Group(
        "Following a bucket",
        "What an agent costs the server while nothing changes, when it reads a bucket whole, and when it starts "
        "again. The server is a real nats-server on this machine; its processor time is that of the process.",
    ),
    "folding": Group(
        "From the bucket to the device",
        "Reading, judging and writing all records or one, with a device in memory. `kv.watch` only reads them.",
    ),
    "passes": Group(
        "Device passes",
        "A device in memory whose calls run in a thread. Blocking is the longest time between two turns of the event "
        "loop, in processor time of its thread, without the garbage collector's work on what is older than the pass.",
    ),
    "writing": Group(
        "Writing the device",
        "A device in a network namespace of its own, with the kernel's WireGuard if this machine has it, otherwise "
        "a userspace one (wireguard-go).",
    ),
    "starting": Group(
        "Starting, and memory",
        "Commands and agents as processes, with the backend `fake`, whose device in memory counts too. The figures of "
        "0.3.0 are of 2026-11.",
    ),
    "fleet": Group(
        "A fleet",
        "Many agents in a few processes, each with a connection of its own, with devices in memory.",
    ),
    "answers": Group(
        "The whole mesh answers",
        "1000 simulated nodes with the agents' own responder and 999 peers each, over ten connections. They wait "
        "for a jitter of up to 2 s; with nodes missing the asker waits for its limit of 5 s.",
    ),
    "emulated": Group(
        "The kernel's WireGuard, emulated",
        "The machine of tests/kernel/vm.sh with two emulated processors. Emulation slows Python more than the "
        "kernel, and wgtool and `wg` can run in parallel ([decision "
        "15](../docs/decisions/0015-speed-of-writing.md)).",
        long=True,
    ),
    "first-contact": Group(
        "First contact, and interruptions",
        "Hosts in network namespaces, wireguard-go, a question every 20 ms, round trips of 0, 40 and 200 ms. The "
        "reference is set up by hand with `wg`. First answers are counted from when both records are in the "
        "bucket, or both devices have the other as a peer. A gap is the longest time without an answer, a round "
        'trip at least; "after": once the device has its address, or the host its new one. The node only answers, '
        "so that its own packets do not end the gap ([First contact](../docs/first-contact.md)). 30 s and more: no "
        "answer came.",
        long=True,
    ),
}
