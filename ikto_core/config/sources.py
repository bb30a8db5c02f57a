"""Where members come from: file, environment, command line, a program. Each tells of names it does not know."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from ikto_core.config.checking import Given
from ikto_core.config.kinds import SETTINGS
from ikto_core.config.types import shown
from ikto_core.disk.atomic_file import read_bounded
from ikto_core.errors import ConfigError

MAX_FILE_BYTES = 1024 * 1024
ENV_PREFIX = "IKTO_"
_MOST_NAMES_TOLD = 20  # a file of 100,000 unknown members is one mistake, not as many


class Source(dict[str, Given]):
    """The known members that one source gives, and its own problems."""

    problems: tuple[str, ...] = ()


def from_file(path: Path) -> Source:
    """Return the members in a JSON file; ConfigError, in one line, if it holds no JSON object."""
    origin = f"in {path}"
    members = _read_object(path)
    source = Source({name: Given(value, origin) for name, value in members.items() if name in SETTINGS})
    source.problems = (
        *_told(f"{_clipped(name)}: is there more than once ({origin}); give it once" for name in members.repeated),
        *_told(_unknown(name, origin) for name in members if name not in SETTINGS),
    )
    return source


def from_environ(environ: Mapping[str, str]) -> Source:
    """Return the members that `IKTO_<MEMBER>` variables give.

    Other variables of that prefix may be somebody else's: only one that is nearly a member's is a problem.
    """
    names = {ENV_PREFIX + member.upper(): member for member in SETTINGS}
    source = Source(
        {
            member: Given(environ[name], f"from {name}", is_text=True)
            for name, member in names.items()
            if name in environ
        }
    )
    others = sorted(name for name in environ if name.startswith(ENV_PREFIX) and name not in names)
    source.problems = tuple(
        f"{_clipped(name)}: is no known variable (in the environment); did you mean {near[0]}?"
        for name in others
        if (near := get_close_matches(name[:64], names, n=1, cutoff=0.9))
    )
    return source


def from_flags(overrides: Mapping[str, str]) -> Source:
    """Return the members that the command line gives."""
    flags = {name: "--" + name.replace("_", "-") for name in overrides}
    source = Source(
        {name: Given(text, f"from {flags[name]}", is_text=True) for name, text in overrides.items() if name in SETTINGS}
    )
    source.problems = tuple(_unknown(name, f"from {flags[name]}") for name in overrides if name not in SETTINGS)
    return source


def from_program(members: Mapping[str, object]) -> Source:
    """Return the members that a program gives as values."""
    origin = "as given"
    source = Source({name: Given(value, origin) for name, value in members.items() if name in SETTINGS})
    source.problems = tuple(_unknown(name, origin) for name in members if name not in SETTINGS)
    return source


def _unknown(name: str, origin: str) -> str:
    near = get_close_matches(name[:64].lower(), SETTINGS, n=1)
    advice = f"did you mean {near[0]}?" if near else "`ikto config schema` lists the members"
    return f"{_clipped(name)}: is no known member ({origin}); {advice}"


def _clipped(name: str) -> str:
    """Return a name as it may stand in a message: as it is if it looks like a member's."""
    return name if name.isidentifier() and len(name) <= 64 else shown(name)


def _told(problems: Iterable[str]) -> Iterator[str]:
    problems = iter(problems)
    yield from islice(problems, _MOST_NAMES_TOLD)
    if more := sum(1 for _ in problems):
        yield f"…and {more} more of these"


class _Members(dict[str, object]):
    """A JSON object that remembers which of its names came twice."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs) if len(pairs) > len(self) else {}
        self.repeated = [name for name, count in counts.items() if count > 1]


def _read_object(path: Path) -> _Members:
    text = _read_text(path)
    try:
        document = json.loads(text, object_pairs_hook=_Members, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        wrong = error.msg.removesuffix(" at")
        raise ConfigError(f"{path}: is not JSON: {wrong} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply; a configuration is one flat object") from None
    except ValueError:  # NaN, or more digits than Python converts
        raise ConfigError(f"{path}: holds a number that is none in JSON, or has thousands of digits") from None
    if not isinstance(document, _Members):
        raise ConfigError(f"{path}: is not a JSON object, as a configuration is")
    return document


def _read_text(path: Path) -> str:
    hint = f"`ikto init -o {path}` writes one"
    content = read_bounded(path, limit=MAX_FILE_BYTES, missing_hint=hint).content
    if not content.strip():
        raise ConfigError(f"{path}: is empty", hint="`ikto init` prints a configuration to put there")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text: see byte {error.start + 1}") from None


def _refuse_constant(name: str) -> object:
    raise ValueError(name)
