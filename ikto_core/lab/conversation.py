"""Controls steady traffic on a host, for tests, benchmarks and the demo, and evaluates it: first answers and gaps."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import IO, NamedTuple

from ikto_core.lab.network import Host
from ikto_core.lab.traffic import INTERVAL_S

_STOP_TIMEOUT_S = 60.0
_CHUNK = 1 << 20


class Question(NamedTuple):
    """When it was sent and when it was answered, in seconds since the epoch; None: never."""

    sent: float
    answered: float | None


class Conversation:
    """The traffic of one host."""

    def __init__(self, process: "subprocess.Popen[bytes]", said: IO[bytes]) -> None:
        self._process = process
        self._said = said
        self._read = 0
        self._questions: defaultdict[str, list[Question]] = defaultdict(list)

    def ask(self, *addresses: str) -> None:
        """Ask these addresses too from now on."""
        if self._process.stdin:
            self._process.stdin.write("".join(f"{address}\n" for address in addresses).encode())
            self._process.stdin.flush()

    @property
    def questions(self) -> Mapping[str, Sequence[Question]]:
        """The questions by address that have been answered; after `stop` those without an answer too. By time sent."""
        while chunk := os.pread(self._said.fileno(), _CHUNK, self._read):
            whole = chunk[: chunk.rfind(b"\n") + 1]
            self._read += len(whole)
            for address, sent, answered in map(json.loads, whole.splitlines()):
                self._questions[address].append(Question(sent, answered))
            if not whole:
                break
        for questions in self._questions.values():
            questions.sort(key=lambda question: question.sent)
        return self._questions

    def stop(self) -> None:
        """End the traffic."""
        if self._process.stdin:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait(_STOP_TIMEOUT_S)


@contextmanager
def conversation(
    host: Host, addresses: Sequence[str] = (), *, interval_s: float = INTERVAL_S, once: bool = False
) -> Iterator[Conversation]:
    """Have a host answer, and ask these addresses, for as long as the block lasts or until `stop`.

    Args:
        host: The host.
        addresses: Whom to ask.
        interval_s: Time between two questions to an address.
        once: Ask an address only until its first answer.

    """
    options = ("--interval", str(interval_s), *(("--once",) if once else ()))
    command = [*host.exec_prefix, sys.executable, "-m", "ikto_core.lab.traffic", *options, *addresses]
    with (
        TemporaryFile() as said,  # perhaps nobody reads: a pipe would fill, and the traffic would stop
        subprocess.Popen(  # noqa: S603 - a fixed list
            command, stdin=subprocess.PIPE, stdout=said, start_new_session=True
        ) as process,
    ):
        try:
            yield Conversation(process, said)
        finally:
            process.kill()


def first_answer_s(questions: Sequence[Question], since: float) -> float | None:
    """Return when the first answer came, in seconds after `since`; None: none came."""
    return min(
        (answered - since for _, answered in questions if answered is not None and answered >= since), default=None
    )


def longest_gap_s(questions: Sequence[Question], since: float, until: float) -> float:
    """Return the longest time without an answer: that one question waited, or that all were lost until the next one.

    Only questions sent between `since` and `until` count. A program that is late with its questions makes no gap.
    """
    longest_s, lost_since = 0.0, None
    for sent, answered in (question for question in questions if since <= question.sent <= until):
        if answered is None:
            lost_since = sent if lost_since is None else lost_since
            continue
        longest_s = max(longest_s, answered - sent, sent - lost_since if lost_since is not None else 0.0)
        lost_since = None
    return longest_s if lost_since is None else max(longest_s, until - lost_since)


def lost(questions: Sequence[Question], since: float, until: float) -> int:
    """Return how many questions of that time got no answer."""
    return sum(1 for sent, answered in questions if answered is None and since <= sent <= until)
