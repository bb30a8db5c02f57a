"""`python -m tools.reference`: write what the docs show of the source, and what this version promises."""

from tools.documents import documents

for path, text in documents().items():
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        print(f"written anew: {path}")  # noqa: T201 - a command
