"""The sources of settings: file, environment, command line, program. Each reports unknown names."""

import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

from ikto_core.config.checking import Given
from ikto_core.config.kinds import SETTINGS
from ikto_core.config.leniency import setting_named
from ikto_core.config.plugin_settings import FORM, PREFIX, from_variables, is_variable, overlaid
from ikto_core.config.showing import shown
from ikto_core.disk.access import change_fault, secret_fault
from ikto_core.disk.atomic_file import FileContent, read_bounded
from ikto_core.errors import ConfigError

MAX_FILE_BYTES = 1024 * 1024
ENV_PREFIX = "IKTO_"
_VARIABLES = {ENV_PREFIX + setting.upper(): setting for setting in SETTINGS}
_MISTAKE = 0.8
"""How alike a name must be to a setting's, from 0 to 1, to be a mistake. 0.3.0 ignores it, which does harm."""

_MOST_NAMES_REPORTED = 20  # a file with 100,000 unknown settings is one mistake


class Source(dict[str, Given]):
    """The known settings that one source gives, and the problems of the source itself."""

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # about what has a meaning, and would be better written in another way
    of_plugins: Mapping[str, Mapping[str, object]] = MappingProxyType({})  # single settings of plugins


def from_file(path: Path) -> Source:
    """Return the settings in a JSON file. Raises ConfigError if it does not hold a JSON object.

    Names and values mean what they mean to 0.3.0: the case of a name does not matter, the last of several counts, and
    `null` and unknown names count for nothing. But a name that is almost a setting's is a mistake.
    """
    origin = f"in {path}"
    file = read_bounded(path, limit=MAX_FILE_BYTES, missing_hint=f"`ikto init -o {path}` writes one")
    members = _members_of(file.content, path)
    named = [(name, setting_named(name), value) for name, value in members]
    source = Source({setting: Given(value, origin) for _, setting, value in named if setting and value is not None})
    unknown = list(dict.fromkeys(name for name, setting, _ in named if setting is None))
    mistakes = [name for name in unknown if get_close_matches(name[:64].casefold(), SETTINGS, n=1, cutoff=_MISTAKE)]
    source.problems = (
        *_access_problems(path, file, has_secret=any(_is_secret(setting, value) for _, setting, value in named)),
        *_first(mistakes, lambda name: _unknown(name, origin)),
    )
    source.warnings = (
        *(line for name, setting, value in named if setting for line in _oddities(name, setting, value, origin)),
        *_first(_repeated(setting for _, setting, _ in named if setting), lambda name: _is_repeated(name, origin)),
        *_first(
            [name for name in unknown if name not in mistakes], lambda name: _unknown(name, f"{origin}, and is ignored")
        ),
    )
    return source


def _oddities(name: str, setting: str, value: object, origin: str) -> Iterator[str]:
    """Yield what is odd about a member that names a setting."""
    if name != setting:
        yield f"{_clipped(name)}: is read as {setting} ({origin}); write {setting}"
    if value is None:
        yield f"{setting}: is null, which counts as not given ({origin}); leave it out"


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _is_repeated(name: str, origin: str) -> str:
    return f"{name}: is given more than once, and the last one counts ({origin}); give it once"


def from_environ(environ: Mapping[str, str]) -> Source:
    """Return the settings given by `IKTO_<SETTING>` variables. `environ_warnings` names the variables that count not.

    A variable never stops an agent by its name: those of other programs, and those that Kubernetes makes of a service
    whose name begins with `ikto`, have the prefix too.
    """
    source = Source(
        {
            setting: Given(environ[name], f"from {name}", is_text=True)
            for name, setting in _VARIABLES.items()
            if environ.get(name) and not _is_of_kubernetes(name, environ)
        }
    )
    source.of_plugins = from_variables(environ)
    return source


def environ_warnings(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return a line for each variable that looks like a setting's and does not count."""
    return tuple(
        f"{_clipped(name)}: {why} (in the environment); it is ignored"
        for name in sorted(environ)
        if name.startswith(ENV_PREFIX) and (why := _why_ignored(name, environ))
    )


def _why_ignored(name: str, environ: Mapping[str, str]) -> str:
    if name in _VARIABLES:
        if _is_of_kubernetes(name, environ):
            return "describes a service of Kubernetes"
        return "" if environ[name] else "is empty"
    if name.startswith(PREFIX):
        return ("" if environ[name] else "is empty") if is_variable(name) else f"does not have the form {FORM}"
    near = get_close_matches(name[:64], _VARIABLES, n=1, cutoff=0.9)
    return f"is not a known variable; did you mean {near[0]}?" if near else ""


def _is_of_kubernetes(name: str, environ: Mapping[str, str]) -> bool:
    """Return whether a variable is one that Kubernetes makes of a service: `IKTO_WG_PORT` of the service `ikto-wg`."""
    service = name.removesuffix("_PORT")
    of_service = service != name and f"{service}_SERVICE_HOST" in environ
    return of_service and environ[name].startswith(("tcp://", "udp://", "sctp://"))


def from_flags(overrides: Mapping[str, str]) -> Source:
    """Return the settings given on the command line."""
    flags = {name: "--" + name.replace("_", "-") for name in overrides}
    source = Source(
        {name: Given(text, f"from {flags[name]}", is_text=True) for name, text in overrides.items() if name in SETTINGS}
    )
    source.problems = tuple(_unknown(name, f"from {flags[name]}") for name in overrides if name not in SETTINGS)
    return source


def from_program(settings: Mapping[str, object]) -> Source:
    """Return the settings that a program gives as values."""
    origin = "as given"
    source = Source({name: Given(value, origin) for name, value in settings.items() if name in SETTINGS})
    source.problems = tuple(_unknown(name, origin) for name in settings if name not in SETTINGS)
    return source


def combined(sources: Sequence[Source]) -> dict[str, Given]:
    """Return the settings of several sources. A later one overrides an earlier one: a setting, or one of a plugin."""
    given: dict[str, Given] = {}
    for source in sources:
        given |= source
        if source.of_plugins:
            below = given.get("plugins", Given({}, ""))
            value = SETTINGS["plugins"].split(below.value) if isinstance(below.value, str) else below.value
            origin = " and ".join(filter(None, (below.origin, "from the environment")))
            given["plugins"] = Given(overlaid(value, source.of_plugins), origin)
    return given


def _unknown(name: str, origin: str) -> str:
    near = get_close_matches(name[:64].casefold(), SETTINGS, n=1)
    advice = f"did you mean {near[0]}?" if near else "`ikto config schema` lists the settings"
    return f"{_clipped(name)}: is not a known setting ({origin}); {advice}"


def _clipped(name: str) -> str:
    """Return a name for a message: unchanged if it looks like a setting's, otherwise quoted and cut."""
    return name if name.isidentifier() and len(name) <= 64 else shown(name)


def _first(names: Sequence[str], describe: Callable[[str], str]) -> Iterator[str]:
    """Yield the problems of the first names, and the number of the others; to describe one takes a tenth of a ms."""
    yield from map(describe, names[:_MOST_NAMES_REPORTED])
    if len(names) > _MOST_NAMES_REPORTED:
        yield f"…and {len(names) - _MOST_NAMES_REPORTED} more of these"


def _is_secret(setting: str | None, value: object) -> bool:
    """Return whether a setting with this value holds a secret, which messages don't show."""
    if setting is None or not value or SETTINGS[setting].is_object:
        return False
    return SETTINGS[setting].info.show(value) != shown(value)


def _access_problems(path: Path, file: FileContent, *, has_secret: bool) -> Iterator[str]:
    """Yield why the file is not safe: other users can change it, or read the secret that it holds."""
    fault = secret_fault(path, file.mode, file.owner) if has_secret else change_fault(path, file.mode)
    if fault:
        yield f"{path}: {fault.wrong}{', and holds a secret' if has_secret else ''}; {fault.command}"


class _Object(dict[str, object]):
    """A JSON object that remembers all its members in the order of the text, with those whose names are repeated."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def _members_of(content: bytes, path: Path) -> list[tuple[str, object]]:
    text = _text_of(content, path)
    try:
        document = json.loads(text, object_pairs_hook=_Object, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        wrong = error.msg.removesuffix(" at")
        raise ConfigError(f"{path}: is not JSON: {wrong} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply; a configuration is one flat object") from None
    except ValueError:  # NaN, or more digits than Python converts
        raise ConfigError(f"{path}: has a number that is not valid JSON, or has thousands of digits") from None
    if not isinstance(document, _Object):
        raise ConfigError(f"{path}: is not a JSON object")
    return document.pairs


def _text_of(content: bytes, path: Path) -> str:
    if not content.strip():
        raise ConfigError(f"{path}: is empty", hint="`ikto init` prints a configuration")
    if content.startswith(BOM_UTF8):
        raise ConfigError(f"{path}: begins with a byte order mark", hint="save it as UTF-8 without one")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text: see byte {error.start + 1}") from None


def _refuse_constant(name: str) -> object:
    raise ValueError(name)
