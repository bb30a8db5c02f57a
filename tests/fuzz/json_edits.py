"""Changes a JSON document so that it stays one: members are removed, renamed, moved, and get other values."""

import json
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 65535, 65536, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**400, 0.5, -0.0, 1e300),
    *("", " ", "a", "auto", "\0", "\x1b[31m", "a\nb", "\u2028", "\ud800", "\U0001f512", "\u0663", "ü", "a" * 300),
    *("0.0.0.0/0", "::", "fe80::1%eth0", "10.0.0.0/8", "fd10::/48", "fd10:1::/48", "10.0.0.0/033", "::ffff:10.0.0.1"),
    *("192.0.2.1:51820", "[2001:db8::1]:51820", "192.0.2.1", "fd10:2::1", "nats://a:b@[::1", "nats://[::1]:0", "a.b.>"),
    *("A" * 43 + "=", "A" * 42 + "E=", "/" * 43 + "=", "2026-01-01T00:00:00Z", "24h", "9999999d", "../x", "/dev/zero"),
    *([], {}, [[]], [""], [None], [0], {"": ""}, ["a"] * 40, [["a"]] * 3, {"a": {"b": {}}}),
)  # fmt: skip
_MAX_STEPS = 5
_DEPTHS = (1, 2, 30, 400, 600, 5000)

Path = list[Any]
"""A container and the key or index of one of its values."""


def edited_json(line: bytes, random: Random) -> bytes | None:
    """Return the document with one to three changes; None if it is none, or changes are impossible."""
    try:
        document = json.loads(line)
        for _ in range(random.choice((1, 1, 2, 3))):
            _edit(document, random)
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=random.random() < 0.5)
    except (ValueError, RecursionError):
        return None
    if random.random() < 0.03:
        text = text.replace('":"', f'":"{"a" * 17000}', 1)
    elif random.random() < 0.05:
        text = _nested(text, random)
    elif random.random() < 0.05:
        text = _with_repeated_member(text, random)
    return text.encode(errors="surrogatepass")


def _edit(document: Any, random: Random) -> None:
    if place := _place(document, random):
        container, key = place
        random.choice(_EDITS)(container, key, random)


def _place(document: Any, random: Random) -> tuple[Any, Any] | None:
    """Return one of the containers in a document, and the key or index of one of its values."""
    place = None
    for _ in range(_MAX_STEPS):
        if not (isinstance(document, dict | list) and document):
            break
        key = random.choice(list(document)) if isinstance(document, dict) else random.randrange(len(document))
        place, document = (document, key), document[key]
        if random.random() < 0.3:
            break
    return place


def _set(container: Any, key: Any, random: Random) -> None:
    container[key] = deepcopy(random.choice(VALUES))  # which later edits change


def _change(container: Any, key: Any, random: Random) -> None:
    """Change a value a little: a number by one, a text by a character, a list by an item."""
    match container[key]:
        case bool(flag):
            container[key] = not flag
        case int(number) | float(number):
            container[key] = number + random.choice((-1, 1, 2**16, 2**32))
        case str(text):
            at = random.randrange(len(text) + 1)
            container[key] = text[:at] + random.choice(("", "\0", "0", ".", ":", "/", "=", "é", " ")) + text[at + 1 :]
        case list(items):
            container[key] = random.choice(
                (items * 2, items[1:], [*items, deepcopy(random.choice(VALUES))], (items * 300)[:300])
            )
        case _:
            _set(container, key, random)


def _delete(container: Any, key: Any, _random: Random) -> None:
    del container[key]


def _rename(container: Any, key: Any, random: Random) -> None:
    if isinstance(container, dict):
        container[random.choice(("", str(key).upper(), f"{key}s", "\0", "a" * 100, *container))] = container.pop(key)


def _copy(container: Any, key: Any, random: Random) -> None:
    """Give a value the place of another one."""
    if isinstance(container, dict):
        container[key] = deepcopy(container[random.choice(list(container))])
    else:
        container.append(deepcopy(container[key]))


def _wrap(container: Any, key: Any, random: Random) -> None:
    value = container[key]
    container[key] = random.choice(([value], {"a": value}, [value, deepcopy(value)]))


_EDITS: tuple[Callable[[Any, Any, Random], None], ...] = (_set, _set, _change, _change, _delete, _rename, _copy, _wrap)


def _nested(text: str, random: Random) -> str:
    """Return a document that is nested deeply, by itself or in an unknown member."""
    depth = random.choice(_DEPTHS)
    opening, closing = random.choice((("[", "]"), ('{"a":', "}")))
    deep = opening * depth + "0" + closing * depth
    return random.choice((deep, text[:-1] + f',"deep":{deep}}}', text.replace('""', deep, 1)))


def _with_repeated_member(text: str, random: Random) -> str:
    members = text[1:-1].split(",")
    return "{" + ",".join([*members, random.choice(members)]) + "}"
