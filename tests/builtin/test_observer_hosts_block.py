"""The agent's block in a shared file: everything outside it stays the same, byte for byte."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.builtin.observers.block import names_outside, with_block
from ikto_core.errors import IktoError

ROOT = Path(__file__).parents[2]
PARTS = [
    b"127.0.0.1 localhost",
    b"::1\tLocalhost # node-z",
    b"",
    b"# a comment",
    b"#BEGIN ikto wg0",
    b"\xff\x00",
    b"x\r",
]
ENDS = [b"\n", b"\r\n", b"\n\n"]
FILES = st.builds(
    lambda lines, last: b"".join(part + end for part, end in lines) + last,
    st.lists(st.tuples(st.sampled_from(PARTS) | st.binary(max_size=9), st.sampled_from(ENDS)), max_size=6),
    st.sampled_from([b"", b"10.0.0.1 gw", b"x\r"]),
)
LINES = st.lists(st.sampled_from(["fd10::1 a", "fd10:0:1::1 b", "10.3.0.1 c"]), max_size=3)
BLOCK = b"# BEGIN ikto wg0 (managed by the Ikto agent: changes in this block are lost)\nfd10::1 a\n# END ikto wg0\n"


@given(FILES, LINES)
def test_removing_the_block_restores_the_file(content: bytes, lines: list[str]) -> None:
    assert with_block(with_block(content, "wg0", lines), "wg0", []) == content


@given(FILES, LINES, LINES)
def test_replacing_the_block_equals_writing_it_once(content: bytes, first: list[str], second: list[str]) -> None:
    written = with_block(content, "wg0", second)
    assert with_block(written, "wg0", second) == written
    if first:
        assert with_block(with_block(content, "wg0", first), "wg0", second) == written


@given(FILES, LINES, LINES)
def test_blocks_of_two_meshes_do_not_touch_each_other(content: bytes, one: list[str], other: list[str]) -> None:
    both = with_block(with_block(content, "wg0", one), "wg1", other)
    assert with_block(both, "wg0", []) == with_block(content, "wg1", other)
    assert with_block(both, "wg1", []) == with_block(content, "wg0", one)


@given(FILES, LINES)
def test_names_in_the_block_are_not_names_of_the_rest(content: bytes, lines: list[str]) -> None:
    assert names_outside(with_block(content, "wg0", lines), "wg0") == names_outside(content, "wg0")


def test_a_new_block_comes_last_or_before_a_line_without_newline() -> None:
    assert with_block(b"1 a\n", "wg0", ["fd10::1 a"]) == b"1 a\n" + BLOCK
    assert with_block(b"1 a\n2 b", "wg0", ["fd10::1 a"]) == b"1 a\n" + BLOCK + b"2 b"
    assert with_block(b"1 a\r2 b", "wg0", ["fd10::1 a"]) == BLOCK + b"1 a\r2 b"
    assert with_block(b"", "wg0", ["fd10::1 a"]) == BLOCK


def test_an_existing_block_keeps_its_place() -> None:
    assert with_block(b"1 a\n" + BLOCK + b"2 b\n", "wg0", ["fd10::1 a"]) == b"1 a\n" + BLOCK + b"2 b\n"


def test_copies_of_the_block_are_removed() -> None:
    assert with_block(BLOCK + b"1 a\n" + BLOCK + b"2 b\n", "wg0", ["fd10::1 a"]) == BLOCK + b"1 a\n2 b\n"


@pytest.mark.parametrize("end", [b"", b"\r"])
def test_a_block_with_changed_line_ends_is_recognised(end: bytes) -> None:
    edited = BLOCK.replace(b"\n", end + b"\n").removesuffix(b"\n")
    assert with_block(b"1 a\n" + edited, "wg0", []) == b"1 a\n"


@pytest.mark.parametrize("after", [b"2 b\n", b"2 b\n" + BLOCK, b"# END ikto wg1\n"])
def test_a_block_without_an_end_is_an_error(after: bytes) -> None:
    with pytest.raises(IktoError, match="the block of wg0 that begins in line 2 has no END line") as caught:
        with_block(b"1 a\n# BEGIN ikto wg0 (x)\n" + after, "wg0", [])
    assert "# END ikto wg0" in caught.value.hint


def test_every_name_after_an_address_is_found() -> None:
    assert names_outside(b"1 a B\tc # d\n#2 e\n\n \xff\n3\n", "wg0") == {"a", "b", "c"}


def test_the_command_in_the_docs_removes_the_block(tmp_path: Path) -> None:
    (command,) = re.findall(r"^    sed -i (.*) /etc/hosts$", (ROOT / "docs/observers.md").read_text(), re.MULTILINE)
    path = tmp_path / "hosts"
    path.write_bytes(b"1 a\n" + BLOCK + BLOCK.replace(b"wg0", b"wg1") + b"2 b")
    subprocess.run(["sed", "-i", *shlex.split(command), str(path)], check=True)
    assert path.read_bytes() == b"1 a\n" + BLOCK.replace(b"wg0", b"wg1") + b"2 b"
