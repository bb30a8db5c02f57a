"""Prints which of these git tags is the release whose examples must run with this version: the one before, if any."""

import re
import sys
from collections.abc import Iterable

from tools.documents import ROOT, version
from tools.reference.promise import predecessor
from tools.reference.source import Library

FIRST_WITH_DOORS = (0, 4)
_TAG = re.compile(r"v((\d+)\.(\d+))\.(\d+)")


def examples_to_run(tags: Iterable[str], now: str) -> str:
    """Return the tag of the last patch of the minor version before; empty if none before has public modules."""
    found = [match for match in map(_TAG.fullmatch, tags) if match]
    released = [match for match in found if (int(match[2]), int(match[3])) >= FIRST_WITH_DOORS]
    before = predecessor({match[1] for match in released}, now)
    patches = [match for match in released if match[1] == before]
    return max(patches, key=lambda match: int(match[4]))[0] if patches else ""


if __name__ == "__main__":
    sys.stdout.write(examples_to_run(sys.stdin.read().split(), version(Library(ROOT))))
