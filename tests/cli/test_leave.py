"""What `ikto leave` and `ikto down` say of an agent that they have asked to end."""

from collections.abc import Sequence
from typing import cast

import pytest

from ikto_core.admin.leave_views import LeaveStep, LeaveView
from ikto_core.cli import leave as leave_module
from ikto_core.cli.leave import _follow
from ikto_core.client import AdminClient
from ikto_core.errors import BackendError, IktoError, NatsError, NoAgentError
from ikto_core.values.times import utc

WITHDRAWING, REMOVING, DONE = (
    LeaveView(step=step) for step in (LeaveStep.WITHDRAWING, LeaveStep.REMOVING, LeaveStep.DONE)
)
DRAINING = LeaveView(step=LeaveStep.DRAINING, until=utc(1_700_000_000))
GONE = NoAgentError("no agent answers")


class ScriptedAgent:
    """Answers with these views, and raises these errors, one after the other; then it is gone."""

    def __init__(self, answers: Sequence[LeaveView | IktoError]) -> None:
        self._answers = list(answers)

    def leaving(self) -> LeaveView:
        answer = self._answers.pop(0) if self._answers else GONE
        if isinstance(answer, IktoError):
            raise answer
        return answer


def follow(first: LeaveView, *answers: LeaveView | IktoError) -> None:
    _follow(cast("AdminClient", ScriptedAgent(answers)), first)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leave_module, "ASK_EVERY_S", 0.0)


def test_each_step_is_one_line_until_the_agent_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    follow(DRAINING, DRAINING, WITHDRAWING, WITHDRAWING, REMOVING, DONE, DONE)
    drain, *others = capsys.readouterr().out.splitlines()
    assert drain.startswith("draining: peers are told until ")
    assert others == ["withdrawing the record", "removing the device"]


def test_an_agent_that_is_busy_is_asked_again() -> None:
    follow(WITHDRAWING, IktoError("did not answer within 5 s"), DONE)


@pytest.mark.parametrize(
    ("answers", "error", "said"),
    [
        ([LeaveView(step=LeaveStep.FAILED, failure="denied")], NatsError, "the node is still in the mesh: denied"),
        ([GONE], IktoError, "the agent ended before it was done .last: withdrawing the record."),
        ([LeaveView(step=LeaveStep.NONE)], IktoError, "has begun anew, as after a key rotation"),
        ([LeaveView(step=LeaveStep.DONE, failure="busy")], BackendError, "the device was not removed: busy"),
    ],
)
def test_what_went_wrong_is_an_error_of_its_class(
    answers: list[LeaveView | IktoError], error: type[IktoError], said: str
) -> None:
    with pytest.raises(IktoError, match=said) as raised:
        follow(WITHDRAWING, *answers)
    assert type(raised.value) is error


def test_an_agent_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leave_module, "SILENT_S", 0.0)
    with pytest.raises(IktoError, match="ended before it was done"):
        follow(WITHDRAWING, *[IktoError("did not answer within 5 s")] * 5)
