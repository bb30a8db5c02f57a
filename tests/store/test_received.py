"""Key, revision and status of a message are the server's, whatever its publisher wrote into the header block."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.store.api import UnreadableError, read_message
from ikto_core.store.received import Received, escaped

CORPUS = [path.read_bytes() for path in sorted((Path(__file__).parent / "corpus" / "headers").glob("*.bin"))]
SERVERS = b"Nats-Stream: KV_b\r\nNats-Subject: %s\r\nNats-Sequence: %d\r\nNats-Time-Stamp: t\r\n\r\n"

pieces = st.sampled_from(
    [
        b"NATS/1.0",
        b" 404",
        b" 204 EOB",
        b"\r\n",
        b"\n",
        b"Nats-Sequence: 7",
        b"Nats-Subject: $KV.b.v",
        b":",
        b" ",
        b"\xff",
    ]
)
header_blocks = st.one_of(
    st.sampled_from(CORPUS), st.binary(), st.lists(st.one_of(pieces, st.binary(max_size=4))).map(b"".join)
)


def completed(publishers: bytes, subject: bytes, revision: int) -> bytes:
    """Return a publisher's header block as nats-server completes it."""
    return (publishers[:-2] or b"NATS/1.0\r\n") + SERVERS % (subject, revision)


@given(
    header_blocks, st.integers(1, 2**63 - 1), st.binary(max_size=10).filter(lambda key: not set(key) & set(b" \t\r\n"))
)
def test_key_and_revision_are_the_servers(publishers: bytes, revision: int, key: bytes) -> None:
    received = Received("", b"value", completed(publishers, b"$KV.b." + key, revision))
    message = read_message(received, "$KV.b.")
    assert (message.key, message.revision, message.time) == (escaped(key), revision, "t")
    assert received.status == "", "it is not taken for the end of a batch"


@given(header_blocks)
def test_no_header_block_raises_another_error(header_block: bytes) -> None:
    received = Received("", b"", header_block)
    assert received.status == "" or received.status.isdigit()
    received.status_text.encode()  # it can be written as JSON
    with pytest.raises(UnreadableError):
        read_message(Received("", b"", header_block.replace(b"Nats-Seq", b"Nats-seq")), "")


def test_the_servers_own_status_is_read() -> None:
    end = Received("", b"", b"NATS/1.0 204 EOB\r\nNats-Num-Pending: 3\r\nNats-Last-Sequence: 9\r\n\r\n")
    assert (end.status, end.status_text, end.header("Nats-Num-Pending")) == ("204", "EOB", "3")
    nobody = Received("", b"", b"NATS/1.0 503\r\nNats-Subject: nobody\r\n\r\n")
    assert (nobody.status, nobody.status_text) == ("503", "")


@pytest.mark.parametrize("revision", ["", "x", "-1", "0", "9" * 30, "٣", "1_0", " 1 2"])
def test_a_message_without_a_revision_is_unreadable(revision: str) -> None:
    block = f"NATS/1.0\r\nNats-Subject: $KV.b.x\r\nNats-Sequence: {revision}\r\n\r\n".encode()
    with pytest.raises(UnreadableError):
        read_message(Received("", b"", block), "$KV.b.")


def test_a_message_whose_subject_is_missing_keeps_its_revision_and_a_reason() -> None:
    message = read_message(Received("", b"value", b"NATS/1.0\r\nNats-Sequence: 12\r\n\r\n"), "$KV.b.")
    assert (message.key, message.revision) == ("(revision 12)", 12)
    assert "can't be read" in message.entry.unreadable


@given(st.binary(), st.binary())
def test_different_bytes_are_different_keys(one: bytes, other: bytes) -> None:
    assert (escaped(one) == escaped(other)) == (one == other)
    escaped(one).encode()  # it can be written as JSON


def test_the_usual_key_stays_as_it_is() -> None:
    assert escaped(b"peers.ZmQxMDoxOjovNDg=") == "peers.ZmQxMDoxOjovNDg="
    assert escaped(b"\xff\\") == r"\xff" + "\\\\"
