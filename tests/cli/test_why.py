"""`ikto why` prints a line for each link and one sentence, to whatever can show it."""

import io

import pytest
from msgspec.structs import replace

from ikto_core.cli.exit_codes import NOT_KNOWN, NOT_REACHABLE
from ikto_core.cli.main import run
from ikto_core.cli.why import exit_code, lines
from ikto_core.diagnosis.chain import LINKS, diagnose
from ikto_core.diagnosis.facts import Knock
from tests.diagnosis.samples import GOOD, LOST, SILENT, USED, spoilt


def output(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


BROKEN = diagnose(spoilt(candidates=(replace(USED, knock=Knock.REFUSED, echo=LOST),), tunnel=SILENT))


@pytest.mark.parametrize(
    ("encoding", "good", "bad"), [("utf-8", "✓", "✗"), ("ascii", "ok", "xx"), ("latin-1", "ok", "xx")]
)
def test_each_link_has_a_mark_that_the_output_can_show(encoding: str, good: str, bad: str) -> None:
    shown = list(lines(BROKEN, output(encoding)))
    marks = {line.split()[1]: line.split()[0] for line in shown if line.split()[:1] in ([good], [bad], ["?"])}
    assert len(marks) == len(LINKS)
    assert (marks["record"], marks["underlay"], marks["other"]) == (good, bad, "?")
    assert shown[-1] == BROKEN.verdict.sentence
    assert shown[-2] == ""


def test_foreign_text_is_escaped() -> None:
    hostile = diagnose(spoilt(record__name="\x1b[31mred"))
    assert "\x1b" not in "\n".join(lines(hostile, output("utf-8")))


@pytest.mark.parametrize(("reachable", "code"), [(True, 0), (False, NOT_REACHABLE), (None, NOT_KNOWN)])
def test_the_exit_code_says_whether_the_peer_is_reachable(reachable: bool | None, code: int) -> None:
    assert exit_code(replace(diagnose(GOOD).verdict, reachable=reachable)) == code


def test_without_agent_and_configuration_it_says_so_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["why", "node-b", "-s", "/nonexistent/socket"]) == NOT_KNOWN
    first, *others = capsys.readouterr().out.splitlines()
    assert first.endswith("no agent answers on /nonexistent/socket")
    assert others[-1] == (
        "Nothing is known of node-b: no agent runs on this node; to do: start it, give its socket with -s, or the "
        "node's configuration with -c FILE."
    )


def test_a_ping_that_was_not_tried_begins_with_no_empty_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ping", "node-b", "-s", "/nonexistent/socket"]) == NOT_KNOWN
    first, _, verdict = capsys.readouterr().out.splitlines()
    assert first == "tunnel    not checked: no agent runs"
    assert verdict.startswith("Nothing is known of node-b: ")


@pytest.mark.parametrize(
    "arguments", [["why"], ["ping"], ["node", "show"], ["node", "remove"], ["wait", "--peer"]], ids=" ".join
)
@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_a_wrong_command_line(
    arguments: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments, name]) == 2
    assert "the name is empty" in capsys.readouterr().err
