"""Events in the life of a node under steady traffic with a peer: how long each keeps the two apart."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from ikto_core.disk.key_file import load_private_key
from ikto_core.lab.conversation import Conversation, Question, conversation, longest_gap_s, lost
from ikto_core.lab.first_contact import start, status_of, wait_until
from ikto_core.lab.hosted import HostedNode, converged
from ikto_core.lab.network import Host

CALM = 50
"""How many questions must have been answered before an event, and after it."""

Event = Callable[[], float]
"""Something that happens to a node. It returns when there was again all that its tunnels need, by time.time()."""

Party = tuple[Host, str]
"""A host and its address in the mesh."""

Talk = tuple[Conversation, str]
"""What a host says to an address."""


class Interruption(NamedTuple):
    """What an event cost two hosts that ask each other; the worse of both directions."""

    lost: int  # questions without an answer
    gap_s: float  # the longest time without an answer; without any loss the longest round trip
    after_s: float  # the same of questions sent after all that tunnels need was there again


def interruption(node: Party, peer: Party, event: Event, *, both_ways: bool = False) -> Interruption:
    """Have a peer ask a node while something happens to the node, until they are calm again. Raises IktoError if never.

    With `both_ways` the node asks too. That hides much: a node that sends makes a session at once where it has none.
    """
    with ExitStack() as stack:
        talks: list[Talk] = [(stack.enter_context(conversation(peer[0], [node[1]])), node[1])]
        own = stack.enter_context(conversation(node[0], [peer[1]] if both_ways else []))
        talks += [(own, peer[1])] if both_ways else []
        _calm(talks, 0.0)
        began = time.time()
        there_again = event()
        _calm(talks, there_again)
        until = min(talk.questions[target][-1].sent for talk, target in talks)
        for talk, _ in talks:
            talk.stop()
        felt = [_felt(talk.questions[target], began, there_again, until) for talk, target in talks]
    return Interruption(*(max(values) for values in zip(*felt, strict=True)))


def restart(node: HostedNode, others: Sequence[HostedNode]) -> float:
    """Stop an agent and start it again."""
    node.agent.stop()
    start([node], others)
    return time.time()


def kill(node: HostedNode, others: Sequence[HostedNode]) -> float:
    """Kill an agent and start it again."""
    node.agent.kill()
    start([node], others)
    return time.time()


def reboot(node: HostedNode, others: Sequence[HostedNode]) -> float:
    """Stop an agent, delete its device, and start the agent again."""
    node.agent.stop()
    return _without_device(node, others)


def power_failure(node: HostedNode, others: Sequence[HostedNode]) -> float:
    """Kill an agent, delete its device, and start the agent again."""
    node.agent.kill()
    return _without_device(node, others)


def delete_device(node: HostedNode, _: Sequence[HostedNode]) -> float:
    """Delete a device, which its agent makes again."""
    node.host.run("ip", "link", "del", node.ifname)
    return _device_there(node)


def renumber(node: HostedNode, _: Sequence[HostedNode]) -> float:
    """Give a host another address on the same interface."""
    change_address(node.host)
    return time.time()


def rotate_key(node: HostedNode, others: Sequence[HostedNode]) -> float:
    """Have an agent rotate its key, and wait until all peers use it."""
    before = node.agent.public_key
    node.agent.admin.rotate_key()

    def rotated() -> bool:
        node.agent.private_key = load_private_key(node.agent.directory / "key")
        return node.agent.public_key != before and converged([status_of(each) for each in (node, *others)])

    wait_until(rotated, f"{node.agent.name} did not rotate its key")
    return time.time()


def change_address(host: Host) -> None:
    """Replace the address of a host by one that no other has: 100 more in its last byte, or 100 less."""
    network, _, number = host.address.rpartition(".")
    moved = f"{network}.{(int(number) + 100) % 200}"
    host.run("ip", "address", "del", f"{host.address}/24", "dev", "eth0")  # with it go others of its network
    host.run("ip", "address", "add", f"{moved}/24", "dev", "eth0")
    host.address = moved


def party(node: HostedNode) -> Party:
    """Return a node as a side of a conversation."""
    return node.host, node.address


def start_without_device(node: HostedNode) -> float:
    """Delete the device of an agent that does not run, and start the agent; return when the device was there again."""
    node.host.run("ip", "link", "del", node.ifname)
    node.agent.start()
    return _device_there(node)


def _without_device(node: HostedNode, others: Sequence[HostedNode]) -> float:
    there_again = start_without_device(node)
    start([], [node, *others])
    return there_again


def _device_there(node: HostedNode) -> float:
    """Wait until a device has its address; return when."""
    address, show = str(node.agent.config["private_address"]), ("ip", "-6", "-o", "address", "show", "up")
    wait_until(lambda: address in node.host.run(*show), f"{node.ifname} did not come back", every_s=0.0)
    return time.time()


def _calm(talks: Sequence[Talk], since: float) -> None:
    """Wait until both sides have had answers to CALM questions of this time."""

    def is_calm(talk: Conversation, target: str) -> bool:
        return sum(question.sent >= since for question in talk.questions.get(target, ())) >= CALM

    wait_until(lambda: all(is_calm(*talk) for talk in talks), "no answers")


def _felt(questions: Sequence[Question], began: float, there_again: float, until: float) -> Interruption:
    return Interruption(
        lost(questions, began, until),
        longest_gap_s(questions, began, until),
        longest_gap_s(questions, min(there_again, until), until),
    )
