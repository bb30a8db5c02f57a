"""The claim protocol with one step removed; the model must find a broken promise for each, or it proves nothing."""

import inspect
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ikto_core.claim import claimant, policy, self_record
from ikto_core.claim.claimant import Claimant
from ikto_core.claim.controller import ClaimController
from ikto_core.claim.holding import Holding
from ikto_core.claim.other_records import OtherRecords
from ikto_core.claim.self_record import SelfRecord
from ikto_core.disk.state_file import SavedState
from tests.claim_model.scenarios import (
    ATTACKED,
    COPIES,
    COPY_ELSEWHERE,
    LOST_DISK_MOVING,
    MIXED,
    MOVED_AND_RESTARTED,
    MOVING,
    RACE,
)
from tests.claim_model.world import Fault, Scenario


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """A function of the protocol with some text replaced, and the scenario that shows why the text is needed."""

    name: str
    owner: Any
    function: str
    text: str
    replacement: str
    scenario: Scenario
    faults: frozenset[Fault] = frozenset()  # needed to break the promise, one of each
    breaks: str  # beginning of the broken promise
    slow: bool = False  # thousands of states are visited before the promise is broken

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replace the function until the end of the test."""
        original = getattr(self.owner, self.function)
        source = textwrap.dedent(inspect.getsource(original))
        assert source.count(self.text) == 1, f"{self.text!r} is not in {self.function}, or not once: {source}"
        changed = compile(source.replace(self.text, self.replacement), f"<{self.name}>", "exec")
        made: dict[str, Callable[..., Any]] = {}
        exec(changed, vars(sys.modules[original.__module__]), made)  # noqa: S102 - the project's own source, with a change from MUTANTS
        users = (claimant, self_record) if inspect.ismodule(self.owner) else ()  # they import the function by name
        for owner in (self.owner, *users):
            monkeypatch.setattr(owner, self.function, made[self.function])


MUTANTS = (
    Mutant(
        name="a record is created without the optimistic lock",
        owner=Claimant,
        function="claim",
        text="expected=entry.revision if entry else 0",
        replacement="expected=None",
        scenario=RACE,
        breaks="no node overwrites another's record",
    ),
    Mutant(
        name="a lost race counts as won",
        owner=Claimant,
        function="claim",
        text="except (RevisionConflictError, WriteUnknownError) as error:",
        replacement="except RevisionConflictError: return 1\n        except WriteUnknownError as error:",
        scenario=RACE,
        breaks="no node uses a subnet without a record",
    ),
    Mutant(
        name="a write without an answer counts as done",
        owner=Claimant,
        function="claim",
        text="except (RevisionConflictError, WriteUnknownError) as error:",
        replacement="except WriteUnknownError: return 1\n        except RevisionConflictError as error:",
        scenario=RACE,
        faults=frozenset({Fault.DELAY}),
        breaks="no node uses a subnet without a record",
    ),
    Mutant(
        name="a write without an answer counts as failed",
        owner=Claimant,
        function="claim",
        text="except (RevisionConflictError, WriteUnknownError) as error:",
        replacement="except WriteUnknownError as error: raise AddressInUseError('?') from error\n"
        "        except RevisionConflictError as error:",
        scenario=RACE,
        faults=frozenset({Fault.LOSE}),
        breaks="no node loses an address without cause",
    ),
    Mutant(
        name="another node's record counts as an own one",
        owner=policy,
        function="decide_claim",
        text="not identity.owns(found.public_key)",
        replacement="False",
        scenario=RACE,
        breaks="no node overwrites another's record",
    ),
    Mutant(
        name="a saved claim is used without reading the bucket",
        owner=ClaimController,
        function="_claim_one",
        text="revision = await self._claimant.claim(",
        replacement="revision = 1 if self.has_saved_claim else await self._claimant.claim(",
        scenario=RACE,
        faults=frozenset({Fault.CRASH}),
        breaks="the nodes come to rest",
    ),
    Mutant(
        name="the check ignores another node's record",
        owner=ClaimController,
        function="_check_self_record",
        text="action is not ClaimAction.KEEP",
        replacement="action is ClaimAction.WRITE",
        scenario=RACE,
        faults=frozenset({Fault.ROLLBACK}),
        breaks="a running node has an address",
    ),
    Mutant(
        name="the check ignores that the own record is missing",
        owner=ClaimController,
        function="_check_self_record",
        text="action is not ClaimAction.KEEP",
        replacement="action not in (ClaimAction.KEEP, ClaimAction.WRITE)",
        scenario=RACE,
        faults=frozenset({Fault.EVICT}),
        breaks="one owner",
    ),
    Mutant(
        name="nothing is checked right after the claim",
        owner=ClaimController,
        function="_use",
        text="self._check_self_record()",
        replacement="pass",
        scenario=RACE,
        faults=frozenset({Fault.EVICT}),
        breaks="one owner",
    ),
    Mutant(
        name="a lost address stays on the device until another is claimed",
        owner=ClaimController,
        function="_claim",
        text="self._release()",
        replacement="pass",
        scenario=MIXED,
        faults=frozenset({Fault.ROLLBACK}),
        breaks="the loser releases the address at once",
        slow=True,
    ),
    Mutant(
        name="an earlier record is not withdrawn",
        owner=OtherRecords,
        function="withdraw",
        text="await self._claimant.withdraw(store, key)",
        replacement="None",
        scenario=MOVING,
        faults=frozenset(),
        breaks="the nodes come to rest",
    ),
    Mutant(
        name="the own record is not written again after an earlier one was withdrawn",
        owner=SelfRecord,
        function="note_deletions",
        text="self.lost_peer.note(",
        replacement="(lambda *_: None)(",
        scenario=MOVING,
        breaks="nodes of 0.3.0 have every peer",
    ),
    Mutant(
        name="a record is withdrawn without the optimistic lock",
        owner=Claimant,
        function="withdraw",
        text="put(key, None, expected=revision)",
        replacement="put(key, None, expected=None)",
        scenario=MOVING,
        faults=frozenset({Fault.EVICT}),
        breaks="no node overwrites another's record",
        slow=True,
    ),
    Mutant(
        name="earlier instances are forgotten",
        owner=SavedState,
        function="with_instance",
        text="(*earlier, instance)",
        replacement="(instance,)",
        scenario=MOVED_AND_RESTARTED,
        faults=frozenset({Fault.ROLLBACK}),
        breaks="earlier records are withdrawn",
    ),
    Mutant(
        name="the instances of records taken over are forgotten",
        owner=SelfRecord,
        function="save_instance",
        text="self.identity = self.identity.after(found)",
        replacement="pass",
        scenario=LOST_DISK_MOVING,
        breaks="earlier records are withdrawn",
    ),
    Mutant(
        name="every record with the own key counts as this installation's",
        owner=policy,
        function="decide_claim",
        text="not context.starting and not identity.knows(found.instance, older=context.older)",
        replacement="False",
        scenario=COPIES,
        breaks="the nodes come to rest",
    ),
    Mutant(
        name="a copy with another address is ignored",
        owner=SelfRecord,
        function="clone_records",
        text="if self.starting:",
        replacement="if True:",
        scenario=COPY_ELSEWHERE,
        breaks="the nodes come to rest",
        slow=True,
    ),
    Mutant(
        name="a node gives its subnet up to whoever overwrites its record",
        owner=Holding,
        function="hold",
        text="return Hold.FIRM if shown else Hold.DOUBTED",
        replacement="return Hold.NONE",
        scenario=ATTACKED,
        faults=frozenset({Fault.ROB}),
        breaks="nobody is robbed",
    ),
    Mutant(
        name="an unsigned record counts as that of a copy",
        owner=policy,
        function="decide_claim",
        text="if proof is None:",
        replacement="if proof is None: return ClaimDecision(ClaimAction.CLONED)\n        if False:",
        scenario=ATTACKED,
        faults=frozenset({Fault.FORGE}),
        breaks="nobody is robbed",
    ),
    Mutant(
        name="a subnet is held although the bucket has lost its record",
        owner=Holding,
        function="hold",
        text="lost = history != self._history or entry.revision <= self._revision",
        replacement="lost = False",
        scenario=RACE,
        faults=frozenset({Fault.ROLLBACK}),
        breaks="the loser releases the address at once",
    ),
)
