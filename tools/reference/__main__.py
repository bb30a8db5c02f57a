"""`python -m tools.reference`: write docs/reference.md, the list in docs/compatibility.md, and the excerpts in docs."""

from tools.documents import documents

for path, text in documents().items():
    if path.read_text() != text:
        path.write_text(text)
        print(f"written anew: {path}")  # noqa: T201 - a command
