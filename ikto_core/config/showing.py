"""Values of settings, as messages show them."""

import json
import re

_NO_PORT = re.compile(r"(://[^:\[,]*:)(?!\d{0,5}\s*(?:[,/]|$))[^,]*")


def shown(value: object) -> str:
    """Return a value for a message: as JSON, on one line, at most 64 characters."""
    if isinstance(value, dict | list):  # not written out: it may be nested very deeply
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    text = json.dumps(value).replace("\x7f", r"\u007f")  # the only control character that json leaves unescaped
    return text if len(text) <= 64 else f"{text[:60]}…"


def hidden(_value: object) -> str:
    """Return a placeholder for a secret."""
    return "(hidden)"


def shown_object(value: object) -> str:
    """Return an object for a message; not a text, which may be meant as one, and have secrets."""
    return hidden(value) if isinstance(value, str) else shown(value)


def redacted(value: object) -> str:
    """Return one or more URLs for a message, without users and passwords.

    The part before the last `@` is hidden. Without one, what follows a colon and is no port may be a password, too.
    """
    if isinstance(value, str) and "@" in value:
        return shown("(hidden)@" + value.rpartition("@")[2])
    return shown(_NO_PORT.sub(r"\1(hidden)", value) if isinstance(value, str) else value)
