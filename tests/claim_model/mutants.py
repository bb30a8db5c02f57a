"""The protocol with a step taken out: each must be found out, or the model proves nothing."""

import inspect
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ikto_core.claim import claimant as claim
from ikto_core.claim import controller, policy
from ikto_core.claim.claimant import Claimant
from ikto_core.claim.controller import ClaimController
from ikto_core.disk.state_file import SavedState
from tests.claim_model.scenarios import COPIES, COPY_ELSEWHERE, LOST_DISK, MIXED, MOVING, RACE, RESTARTED
from tests.claim_model.world import Fault, Scenario


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """A function of the protocol in which some text is replaced, and the scenario that shows why it is there."""

    name: str
    owner: Any
    function: str
    text: str
    instead: str
    scenario: Scenario
    faults: frozenset[Fault] = frozenset()  # that it takes to be found out, one each
    found_out: str  # the promise that it breaks

    def put_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have the protocol go wrong until the test's end."""
        original = getattr(self.owner, self.function)
        source = textwrap.dedent(inspect.getsource(original))
        assert source.count(self.text) == 1, f"{self.text!r} is not in {self.function}, or not once: {source}"
        changed = compile(source.replace(self.text, self.instead), f"<{self.name}>", "exec")
        made: dict[str, Callable[..., Any]] = {}
        exec(changed, vars(sys.modules[original.__module__]), made)  # noqa: S102 - our own source, with our own change
        users = (claim, controller) if inspect.ismodule(self.owner) else ()  # they have imported it by its name
        for owner in (self.owner, *users):
            monkeypatch.setattr(owner, self.function, made[self.function])


MUTANTS = (
    Mutant(
        name="a record is created without the optimistic lock",
        owner=Claimant,
        function="claim",
        text="expected=entry.revision if entry else 0",
        instead="expected=None",
        scenario=RACE,
        found_out="nobody overwrites another's record",
    ),
    Mutant(
        name="a lost race is taken for won",
        owner=Claimant,
        function="claim",
        text="except (RevisionConflictError, WriteUnknownError) as error:",
        instead="except RevisionConflictError: return 1\n        except WriteUnknownError as error:",
        scenario=RACE,
        found_out="nobody uses what was not recorded as its own",
    ),
    Mutant(
        name="a write without an answer is taken for done",
        owner=Claimant,
        function="claim",
        text="except (RevisionConflictError, WriteUnknownError) as error:",
        instead="except WriteUnknownError: return 1\n        except RevisionConflictError as error:",
        scenario=RACE,
        faults=frozenset({Fault.DELAY}),
        found_out="nobody uses what was not recorded as its own",
    ),
    Mutant(
        name="a write without an answer is taken for failed",
        owner=Claimant,
        function="claim",
        text="except (RevisionConflictError, WriteUnknownError) as error:",
        instead="except WriteUnknownError as error: raise AddressInUseError('?') from error\n"
        "        except RevisionConflictError as error:",
        scenario=RACE,
        faults=frozenset({Fault.LOSE}),
        found_out="nobody loses an address without cause",
    ),
    Mutant(
        name="another's record is taken for ours",
        owner=policy,
        function="decide_claim",
        text="not identity.owns(found.public_key)",
        instead="False",
        scenario=RACE,
        found_out="nobody overwrites another's record",
    ),
    Mutant(
        name="a kept claim is used without a look",
        owner=ClaimController,
        function="_claim_one",
        text="revision = await self._claimant.claim(",
        instead="revision = 1 if self.has_saved_claim else await self._claimant.claim(",
        scenario=RACE,
        faults=frozenset({Fault.CRASH}),
        found_out="they come to rest",
    ),
    Mutant(
        name="the guard does not care for another's record",
        owner=ClaimController,
        function="_check_own_record",
        text="action is not ClaimAction.KEEP",
        instead="action is ClaimAction.WRITE",
        scenario=RACE,
        faults=frozenset({Fault.ROLLBACK}),
        found_out="one owner",
    ),
    Mutant(
        name="the guard does not care for its record's absence",
        owner=ClaimController,
        function="_check_own_record",
        text="action is not ClaimAction.KEEP",
        instead="action not in (ClaimAction.KEEP, ClaimAction.WRITE)",
        scenario=RACE,
        faults=frozenset({Fault.EVICT}),
        found_out="one owner",
    ),
    Mutant(
        name="the guard does not look at what was written before it stood",
        owner=ClaimController,
        function="_use",
        text="self._check_own_record()",
        instead="pass",
        scenario=RACE,
        faults=frozenset({Fault.EVICT}),
        found_out="one owner",
    ),
    Mutant(
        name="a lost address stays on the device until another is found",
        owner=ClaimController,
        function="_claim",
        text="self._release()",
        instead="pass",
        scenario=MIXED,
        faults=frozenset({Fault.ROLLBACK}),
        found_out="the loser lets go at once",
    ),
    Mutant(
        name="an earlier record is not withdrawn",
        owner=ClaimController,
        function="_use",
        text="await self._claimant.withdraw(store, key)",
        instead="True",
        scenario=MOVING,
        faults=frozenset(),
        found_out="they come to rest",
    ),
    Mutant(
        name="a record is withdrawn whoever wrote it meanwhile",
        owner=Claimant,
        function="withdraw",
        text="expected=entry.revision",
        instead="expected=None",
        scenario=MOVING,
        faults=frozenset({Fault.EVICT}),
        found_out="nobody overwrites another's record",
    ),
    Mutant(
        name="a restart forgets the runs before it",
        owner=SavedState,
        function="with_instance",
        text="(*earlier, instance)",
        instead="(instance,)",
        scenario=RESTARTED,
        faults=frozenset({Fault.ROLLBACK}),
        found_out="nobody loses an address without cause",
    ),
    Mutant(
        name="what a run writes, or takes over, is not kept on disk",
        owner=ClaimController,
        function="_save_instance",
        text="self._saved_claim.add_instance(self.identity.instance, found)",
        instead="pass",
        scenario=RESTARTED,
        faults=frozenset({Fault.ROLLBACK}),
        found_out="nobody loses an address without cause",
    ),
    Mutant(
        name="what was taken over is unknown once it comes back",
        owner=ClaimController,
        function="_save_instance",
        text="self.identity = self.identity.after(found)",
        instead="pass",
        scenario=LOST_DISK,
        faults=frozenset({Fault.ROLLBACK}),
        found_out="nobody loses an address without cause",
    ),
    Mutant(
        name="whoever has our key is one of us",
        owner=policy,
        function="decide_claim",
        text="not starting and not identity.knows(found.instance)",
        instead="False",
        scenario=COPIES,
        found_out="they come to rest",
    ),
    Mutant(
        name="a copy at another address is no copy",
        owner=ClaimController,
        function="_check",
        text="self._clone_records()",
        instead="()",
        scenario=COPY_ELSEWHERE,
        found_out="they come to rest",
    ),
)
