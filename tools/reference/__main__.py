"""`python -m tools.reference`: write the generated documentation pages and the current version's promise."""

from tools.documents import documents

for path, text in documents().items():
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        print(f"updated {path}")  # noqa: T201 - a command
