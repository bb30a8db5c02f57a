"""Says in words what differs between two values: the member, what was found and what was expected, and no more."""

from collections.abc import Iterator, Mapping, Set

import msgspec

from ikto_core.values.keys import Key, SecretKey

MOST = 3
"""How many differences are said; the others are counted."""


def differences(found: object, wanted: object) -> str:
    """Return the differences on one line; empty if there is none. Secret keys are not shown."""
    lines = list(_different("", found, wanted))
    more = f"; and {len(lines) - MOST} more differences" if len(lines) > MOST else ""
    return "; ".join(lines[:MOST]) + more


def _different(path: str, found: object, wanted: object) -> Iterator[str]:
    if found == wanted:
        return
    if isinstance(found, msgspec.Struct) and type(found) is type(wanted):
        for name in found.__struct_fields__:
            yield from _different(f"{path}.{name}".lstrip("."), getattr(found, name), getattr(wanted, name))
    elif isinstance(found, Mapping) and isinstance(wanted, Mapping):
        yield from _of_mappings(path, found, wanted)
    elif isinstance(found, Set) and isinstance(wanted, Set):
        yield from _of_sets(path, found, wanted)
    else:
        kinds = f" ({type(found).__name__}, not {type(wanted).__name__})" if _text(found) == _text(wanted) else ""
        yield f"{path or 'the value'} is {_text(found)}, expected {_text(wanted)}{kinds}"


def _of_mappings(path: str, found: Mapping[object, object], wanted: Mapping[object, object]) -> Iterator[str]:
    what = path or "the mapping"
    if missing := [key for key in wanted if key not in found]:
        yield f"{what} lacks {_several(missing)}"
    if surplus := [key for key in found if key not in wanted]:
        yield f"{what} has {_several(surplus)}, which was not expected"
    for key in found:
        if key in wanted:
            yield from _different(f"{path}[{_text(key)}]", found[key], wanted[key])


def _of_sets(path: str, found: Set[object], wanted: Set[object]) -> Iterator[str]:
    what = path or "the set"
    if missing := wanted - found:
        yield f"{what} lacks {_several(sorted(missing, key=str))}"
    if surplus := found - wanted:
        yield f"{what} has {_several(sorted(surplus, key=str))}, which was not expected"


def _several(values: list[object]) -> str:
    more = f" and {len(values) - MOST} more" if len(values) > MOST else ""
    return ", ".join(map(_text, values[:MOST])) + more


def _text(value: object) -> str:
    if isinstance(value, SecretKey):
        return "a secret key" if any(value) else "a key of zeros"
    if isinstance(value, Key):
        return f"peer {int.from_bytes(value, 'big')}" if not any(value[:30]) else f"peer {value.text}"
    text = str(value)
    return text if len(text) <= 120 else f"{text[:120]}…"
