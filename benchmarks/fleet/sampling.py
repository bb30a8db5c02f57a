"""Samples what takes processor time: every few milliseconds of it, a signal notes the functions on the stack."""

import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from types import FrameType

EVERY_S = 0.002  # of processor time
LINES = 45


class Sampler:
    """Samples the main thread of this process."""

    def __init__(self) -> None:
        self._inside: Counter[str] = Counter()  # samples with a function anywhere on the stack
        self._at: Counter[str] = Counter()  # samples with a function on top
        self._samples = 0

    def begin(self) -> None:
        """Begin to sample, from nothing."""
        self.__init__()  # type: ignore[misc]
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def end(self) -> Sequence[str]:
        """End it, and return a report: the share inside each function, and on top of the stack, in percent."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        total = max(self._samples, 1)
        return [
            f"{self._samples} samples",
            *(f"{count / total:7.1%} inside {name}" for name, count in self._inside.most_common(LINES)),
            *(f"{count / total:7.1%} at {name}" for name, count in self._at.most_common(LINES)),
        ]

    def _sample(self, _: int, frame: FrameType | None) -> None:
        stack = list(_names(frame))
        self._samples += 1
        self._at.update(stack[:1])
        self._inside.update(set(stack))


def _names(frame: FrameType | None) -> Iterator[str]:
    """Yield the functions on the stack, the present one first."""
    while frame:
        code = frame.f_code
        yield f"{'/'.join(code.co_filename.split('/')[-2:])}:{code.co_qualname}"
        frame = frame.f_back
