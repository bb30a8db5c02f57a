"""`python -m tools.reference`: write what is generated: pages, the version's promise, manual pages, scripts."""

from tools.documents import documents

for path, text in documents().items():
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        print(f"updated {path}")  # noqa: T201 - a command
