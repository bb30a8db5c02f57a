"""Examples at the end of a command's text of help."""

TITLE = "Examples:"


def examples(*lines: str) -> str:
    """Return an epilog that shows these command lines as they are."""
    return "\n".join(("\b", TITLE, *(f"  {line}" for line in lines)))
