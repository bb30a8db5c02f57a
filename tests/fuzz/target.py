"""What a target is, and the inputs that are kept for it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
TESTS = Path(__file__).parents[1]

Check = Callable[[bytes], object]
"""Reads one input. Returns if it is valid; raises an error of the target, or RefusedError, if not. No other error."""

Open = Callable[[Path], AbstractContextManager[Check]]
"""Prepares for many inputs, given an empty directory."""


class RefusedError(Exception):
    """An input is not valid, and the reading code says so in another way than by an error."""


def without_preparation(check: Check) -> Open:
    """Return what opens a target that needs nothing."""

    @contextmanager
    def opened(_directory: Path) -> Iterator[Check]:
        yield check

    return opened


@dataclass(frozen=True)
class Target:
    """One kind of input."""

    name: str  # also of its directory in the corpus
    percent: int  # share of the inputs of a whole run
    refusals: tuple[type[Exception], ...]  # what the reading code is documented to raise; empty: nothing
    open: Open
    tokens: tuple[bytes, ...] = ()  # words of the format, which mutations insert
    also: tuple[str, ...] = ()  # further directories with inputs, below tests/

    def corpus(self) -> list[bytes]:
        """Return the inputs that are kept for this target."""
        directories = (CORPUS / self.name, *(TESTS / directory for directory in self.also))
        return [path.read_bytes() for directory in directories for path in sorted(directory.glob("*.*"))]
