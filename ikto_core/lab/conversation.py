"""Steady traffic on hosts as a test or benchmark steers it, and what it tells: first answers and gaps."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise

from ikto_core.lab.network import Host

Question = tuple[float, float | None]
"""When it was sent and when it was answered, in seconds since the epoch; None: never."""

_STOP_TIMEOUT_S = 10.0


class Conversation:
    """The traffic of one host; `questions` by address, once `stop` was called."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.questions: Mapping[str, Sequence[Question]] = {}

    def stop(self) -> None:
        """End the traffic."""
        output, _ = self._process.communicate(timeout=_STOP_TIMEOUT_S)
        self.questions = {address: [(a, b) for a, b in pairs] for address, pairs in json.loads(output).items()}


@contextmanager
def conversation(host: Host, addresses: Sequence[str] = ()) -> Iterator[Conversation]:
    """Have a host answer, and ask these addresses, for as long as the block lasts or until `stop`."""
    command = [*host.exec_prefix, sys.executable, "-m", "ikto_core.lab.traffic", *addresses]
    with ExitStack() as stack:
        process: subprocess.Popen[str] = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
        )
        stack.callback(process.kill)
        found = Conversation(process)
        yield found
        if not found.questions and process.poll() is None:
            found.stop()


def first_answer_s(questions: Sequence[Question], since: float) -> float | None:
    """Return when the first answer came, in seconds after `since`; None: none came."""
    return min(
        (answered - since for _, answered in questions if answered is not None and answered >= since), default=None
    )


def longest_gap_s(questions: Sequence[Question], since: float, until: float) -> float:
    """Return the longest time without an answered question, by the times at which they were sent."""
    answered = [sent for sent, answered in questions if answered is not None and since <= sent <= until]
    times = [since, *answered, until]
    return max(after - before for before, after in pairwise(times))


def lost(questions: Sequence[Question], since: float, until: float) -> int:
    """Return how many questions of that time got no answer."""
    return sum(1 for sent, answered in questions if answered is None and since <= sent <= until)
