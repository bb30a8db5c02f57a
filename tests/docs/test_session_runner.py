"""The runner of sessions finds what a page gets wrong, and leaves nothing behind."""

import os
from pathlib import Path

import pytest

from tests.docs.sandbox import hosts
from tests.docs.sessions import base, blocks, commands, hosts_of, is_as_shown, with_bases

FAILURES = (AssertionError, pytest.fail.Exception)
PAGE = """\
# A page

The examples continue those of [Another](another.md): it runs.

```console
admin$ echo one \\
>   two
one two
node-a# cat > /etc/x <<'END'
> a
> END
node-a# scp /etc/x node-b:/root/x
```

*The tests do not run this: it needs
a moon.* Wait for one.

```sh
howl
```

```json
{}
```

A paragraph of another block.

```sh
whisper
```
"""


def test_commands_have_their_host_all_their_lines_and_what_they_show() -> None:
    first, second, third = commands(PAGE)
    assert (first.host, first.text, first.shown, first.line) == ("admin", "echo one \\\n  two", ("one two",), 6)
    assert (second.host, second.text, second.shown) == ("node-a", "cat > /etc/x <<'END'\na\nEND", ())
    assert hosts_of(third) == {"node-a", "node-b"}


def test_the_reason_is_that_of_the_paragraph_before_the_block() -> None:
    assert [(block.language, block.reason) for block in blocks(PAGE)] == [
        ("console", ""),
        ("sh", "it needs\na moon."),
        ("json", ""),
        ("sh", ""),
    ]


def test_a_session_starts_with_a_command() -> None:
    with pytest.raises(ValueError, match="line 2: a session starts with a command"):
        commands("```console\n$ ikto --version\n```\n")


def test_pages_that_a_page_continues_come_first(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE)
    (tmp_path / "another.md").write_text("The examples continue those of [First](first.md).\n")
    (tmp_path / "first.md").write_text("")
    assert [page.name for page in with_bases(tmp_path / "page.md")] == ["first.md", "another.md", "page.md"]
    assert base("") == ""


@pytest.mark.parametrize(
    ("output", "shown", "right"),
    [
        ("", (), True),
        ("a\n", (), False),
        ("", ("a",), False),
        ("a  \nb", ("a", "b"), True),
        ("a\nb\n", ("a",), False),
        ("key 7f= x\n", ("key … x",), True),
        ("key 7f= y\n", ("key … x",), False),
        ("a\nb\nc\n", ("…", "c"), True),
        ("c\n", ("…", "c"), True),
        ("a\nb\n", ("…", "c"), False),
        ("a     b\n", ("a  b",), True),
        ("a b\n", ("a  b",), False),
        ("a.b\n", ("a.b",), True),
        ("aXb\n", ("a.b",), False),
    ],
)
def test_output_is_as_shown(output: str, shown: tuple[str, ...], right: bool) -> None:
    assert is_as_shown(output, shown) is right


@pytest.mark.parametrize(
    ("session", "words"),
    [
        ("admin$ echo two\none\n", "page.md, line 3: admin: echo two\nended with 0 and shows:\ntwo"),
        ("admin$ echo two\n", "ended with 0 and shows:\ntwo"),
        ("admin$ exit 3\n", "ended with 3"),
        ("admin$ exit 3\nadmin$ echo $?\n0\n", "admin: echo $?\nended with 0 and shows:\n3"),
        ("node-a# systemctl start ikto\n", "ikto.service is not there"),
        ("nats# systemctl mask nats-server\n", "systemctl mask nats-server is not played"),
    ],
)
def test_a_page_that_is_wrong_fails(session: str, words: str) -> None:
    page = f"# A page\n```console\n{session}```\n"
    with hosts(["admin", "nats", "node-a"]) as sandbox, pytest.raises(FAILURES) as failure:
        sandbox.run("page.md", commands(page))
    assert words in str(failure.value)


def test_paths_are_those_of_the_host_and_nothing_is_left() -> None:
    page = """
```console
admin$ echo secret > /root/x; chmod 600 /root/x; scp /root/x node-a:/etc/ikto-x
node-a# stat -c '%a %n' /etc/ikto-x
600 /etc/ikto-x
node-a# cat ../etc/ikto-x; exit 4
secret
node-a# echo $?
4
nats# systemctl restart nats-server
nats# cat /var/lib/nats/*.ports
…
```
"""
    with hosts(["admin", "nats", "node-a"]) as sandbox:
        sandbox.run("page.md", commands(page))
        directory, server = sandbox.directory, sandbox.server.pid
        assert server
    assert not directory.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
