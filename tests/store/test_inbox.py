"""Nobody can guess where a node's next answer goes, and two nodes never share a prefix."""

import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.errors import NatsDeniedError
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.store.connection import open_session
from ikto_core.store.inbox import inbox_of_node
from ikto_core.store.received import Received
from ikto_core.store.session import NatsSettings, Session

PERMITTED = """
authorization { users: [
  { user: one, password: secret, permissions: { publish: [">"], subscribe: ["_INBOX_node=2Ea.>"] } }
  { user: other, password: secret, permissions: { publish: [">"], subscribe: ["_INBOX_node_a.>"] } }
] }
"""
names = st.text(min_size=1)


@given(names, names)
def test_two_names_never_share_a_prefix(one: str, other: str) -> None:
    assert (inbox_of_node(one) == inbox_of_node(other)) == (one == other)


@given(names)
def test_a_prefix_is_one_token_of_a_subject(name: str) -> None:
    assert re.fullmatch(r"_INBOX_[A-Za-z0-9_=-]+", inbox_of_node(name))


def test_a_usual_name_stays_as_it_is_and_a_dot_is_quoted() -> None:
    assert inbox_of_node("node-1_b") == "_INBOX_node-1_b"
    assert inbox_of_node("node.a") == "_INBOX_node=2Ea"


def settings(server: NatsServer, user: str, name: str) -> NatsSettings:
    return NatsSettings(servers=(server.url,), user=user, password="secret", inbox=inbox_of_node(name))


async def test_a_node_is_not_permitted_the_inbox_of_a_node_with_a_similar_name(tmp_path: Path) -> None:
    with running_server(tmp_path, PERMITTED) as server:
        for user, name in (("one", "node.a"), ("other", "node_a")):
            async with open_session(settings(server, user, name), Random()) as session:
                assert session.server
        with pytest.raises(NatsDeniedError):
            async with open_session(settings(server, "other", "node.a"), Random()):
                pass


async def test_no_two_requests_have_their_answers_on_subjects_that_tell_of_each_other(
    shared_server: NatsServer, session: Session
) -> None:
    """A client that sees the answers of three requests over each of two connections can't tell where the next goes."""
    seen: list[str] = []

    def keep(received: Received) -> None:
        seen.append(received.subject)

    await session.subscribe("_INBOX.>", keep)
    for _ in range(2):
        async with open_session(NatsSettings(servers=(shared_server.url,)), Random(0)) as asking:
            for _ in range(3):
                await asking.request("$JS.API.INFO")
    await session.client.flush()
    connections, requests = zip(*(subject.split(".")[1:] for subject in seen), strict=True)
    assert (len(set(connections)), len(set(requests))) == (2, 6)
    assert all(re.fullmatch("[0-9a-f]{32}", token) for token in (*connections, *requests))
