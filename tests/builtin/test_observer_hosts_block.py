"""The block that an agent keeps in a file of others: everything else stays as it is, byte for byte."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.builtin.observers.block import names_beside, with_block
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
BLOCK = b"# BEGIN ikto wg0 (the agent's: what is changed in here is lost)\nfd10::1 a\n# END ikto wg0\n"


@given(FILES, LINES)
def test_taken_out_again_it_leaves_the_file_as_it_was(content: bytes, lines: list[str]) -> None:
    assert with_block(with_block(content, "wg0", lines), "wg0", []) == content


@given(FILES, LINES, LINES)
def test_another_content_is_as_if_the_first_had_never_been(content: bytes, first: list[str], second: list[str]) -> None:
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
def test_only_what_is_beside_it_gives_names_to_others(content: bytes, lines: list[str]) -> None:
    assert names_beside(with_block(content, "wg0", lines), "wg0") == names_beside(content, "wg0")


def test_a_new_block_comes_last_or_before_a_line_that_has_no_end() -> None:
    assert with_block(b"1 a\n", "wg0", ["fd10::1 a"]) == b"1 a\n" + BLOCK
    assert with_block(b"1 a\n2 b", "wg0", ["fd10::1 a"]) == b"1 a\n" + BLOCK + b"2 b"
    assert with_block(b"1 a\r2 b", "wg0", ["fd10::1 a"]) == BLOCK + b"1 a\r2 b"
    assert with_block(b"", "wg0", ["fd10::1 a"]) == BLOCK


def test_a_block_stays_where_it_is() -> None:
    assert with_block(b"1 a\n" + BLOCK + b"2 b\n", "wg0", ["fd10::1 a"]) == b"1 a\n" + BLOCK + b"2 b\n"


def test_copies_of_it_go() -> None:
    assert with_block(BLOCK + b"1 a\n" + BLOCK + b"2 b\n", "wg0", ["fd10::1 a"]) == BLOCK + b"1 a\n2 b\n"


@pytest.mark.parametrize("end", [b"", b"\r"])
def test_an_editor_may_have_written_other_line_ends(end: bytes) -> None:
    edited = BLOCK.replace(b"\n", end + b"\n").removesuffix(b"\n")
    assert with_block(b"1 a\n" + edited, "wg0", []) == b"1 a\n"


@pytest.mark.parametrize("after", [b"2 b\n", b"2 b\n" + BLOCK, b"# END ikto wg1\n"])
def test_a_block_without_an_end_is_left_alone_and_told(after: bytes) -> None:
    with pytest.raises(IktoError, match="the block of wg0 that begins in line 2 does not end") as caught:
        with_block(b"1 a\n# BEGIN ikto wg0 (x)\n" + after, "wg0", [])
    assert "# END ikto wg0" in caught.value.hint


def test_the_names_of_a_hosts_file_are_all_that_stand_behind_an_address() -> None:
    assert names_beside(b"1 a B\tc # d\n#2 e\n\n \xff\n3\n", "wg0") == {"a", "b", "c"}


def test_the_command_that_the_docs_give_takes_it_out(tmp_path: Path) -> None:
    (command,) = re.findall(r"^    sed -i (.*) /etc/hosts$", (ROOT / "docs/observers.md").read_text(), re.MULTILINE)
    path = tmp_path / "hosts"
    path.write_bytes(b"1 a\n" + BLOCK + BLOCK.replace(b"wg0", b"wg1") + b"2 b")
    subprocess.run(["sed", "-i", *shlex.split(command), str(path)], check=True)
    assert path.read_bytes() == b"1 a\n" + BLOCK.replace(b"wg0", b"wg1") + b"2 b"
