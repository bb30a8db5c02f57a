"""The parser passes on every message, whatever its bytes; a server that sends nonsense causes one type of error."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.errors import Error as NatsPyError

from ikto_core.store import wire
from ikto_core.store.wire import Parser

CORPUS = sorted((Path(__file__).parent / "corpus" / "server").glob("*.bin"))


subjects = st.binary(min_size=1, max_size=30).filter(lambda raw: not set(raw) & set(b" \t\r\n"))
messages = st.lists(
    st.tuples(subjects, st.one_of(st.just(b""), subjects), st.one_of(st.none(), st.binary()), st.binary()), max_size=5
)
Passed = tuple[int, bytes, bytes, bytes, bytes]


class Handler:
    """Keeps what a parser passes to nats-py's client."""

    def __init__(self) -> None:
        self.messages: list[Passed] = []
        self.others: list[str] = []

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        self.messages.append((sid, subject, reply, data, headers))

    async def _process_ping(self) -> None:
        self.others.append("PING")

    async def _process_pong(self) -> None:
        self.others.append("PONG")

    async def _process_info(self, info: dict[str, Any]) -> None:
        self.others.append(f"INFO {sorted(info)}")

    async def _process_err(self, text: str) -> None:
        self.others.append(f"-ERR {text}")


def parsed(data: bytes, chunk_size: int = 2**16) -> Handler:
    """Return what a parser passes on of these bytes, read in chunks. Raises as the parser does."""
    handler = Handler()

    async def parse() -> None:
        parser = Parser(handler)
        for start in range(0, len(data), chunk_size):
            await parser.parse(data[start : start + chunk_size])

    asyncio.run(parse())
    return handler


def sent(subject: bytes, reply: bytes, header_block: bytes | None, payload: bytes) -> bytes:
    """Return a message as the server sends it."""
    answer_to = reply + b" " if reply else b""
    if header_block is None:
        return b"MSG %s 7 %s%d\r\n%s\r\n" % (subject, answer_to, len(payload), payload)
    size = len(header_block) + len(payload)
    return b"HMSG %s 7 %s%d %d\r\n%s%s\r\n" % (subject, answer_to, len(header_block), size, header_block, payload)


@given(messages, st.integers(1, 40))
def test_every_message_is_passed_on_unchanged_however_it_arrives(
    messages: list[tuple[bytes, bytes, bytes | None, bytes]], chunk_size: int
) -> None:
    stream = b"PING\r\n".join(sent(*message) for message in messages)
    handler = parsed(stream, chunk_size)
    expected = [(7, subject, reply, payload, headers or b"") for subject, reply, headers, payload in messages]
    assert handler.messages == expected
    assert handler.others == ["PING"] * (len(messages) - 1)


@given(st.lists(st.one_of(st.binary(), st.sampled_from([b"MSG a 1 5\r\n", b"HMSG a 1 2 5\r\n", b"INFO {", b"\r\n"]))))
def test_no_bytes_raise_another_error(pieces: list[bytes]) -> None:
    try:
        parsed(b"".join(pieces), 7)
    except NatsPyError as error:
        assert "the server sent" in str(error)  # noqa: PT017 - some random bytes are valid


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_corpus_raises_no_other_error(path: Path) -> None:
    try:
        handler = parsed(path.read_bytes() + b"MSG after 1 2\r\nok\r\n")
    except NatsPyError:
        assert path.stem.startswith(("size", "info", "unknown", "empty", "header-block-larger")), (
            "a client can cause it"
        )
    else:
        after = (1, b"after", b"", b"ok", b"")
        assert handler.messages[-1:] == [after] or path.stem == "size-of-terabytes"


def test_of_a_message_without_end_a_bounded_part_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_PAYLOAD_BYTES", 1000)
    monkeypatch.setattr(wire, "MAX_HEADER_BYTES", 100)

    async def parse() -> None:
        handler = Handler()
        parser = Parser(handler)
        await parser.parse(b"HMSG x 1 3000 9000\r\n")
        for number in range(300):
            await parser.parse(b"%010d" % number)
            assert parser._message
            assert len(parser._message.header_block) <= 100
        for _ in range(600):
            await parser.parse(b"p" * 10)
            assert parser._message
            assert len(parser._message.payload) <= 1000
            assert len(parser._unread) <= 10
        await parser.parse(b"\r\nMSG after 1 2\r\nok\r\n")
        (large, after) = handler.messages
        assert large[3] == b"p" * 1000
        assert large[4] == b"".join(b"%010d" % number for number in range(290, 300)), (
            "the server's own headers are last"
        )
        assert after[1] == b"after"

    asyncio.run(parse())


def test_a_line_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_LINE_BYTES", 1000)
    with pytest.raises(NatsPyError, match="line of more than 1000 bytes"):
        parsed(b"INFO {" + b"a" * 2000, 10)
