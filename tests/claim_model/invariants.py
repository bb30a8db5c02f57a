"""The promises: in every state, and in every quiet one, in which no spontaneous step is left."""

from collections.abc import Iterator

from ikto_core.claim.policy import equal_but_nonce
from tests.claim_model.events import MachineView, Phase, Spec
from tests.claim_model.world import HOSTILE_FAULTS, Fault, Scenario, State, machine_views

MOST_WRITES = 7
MOST_WRITES_A_FAULT = 4
"""A scenario with more writes than this is taken for an endless one."""


def broken_invariants(state: State, scenario: Scenario) -> Iterator[str]:
    """Yield the broken ones of the promises that must hold in every state."""
    if state.kv.revision > MOST_WRITES + MOST_WRITES_A_FAULT * scenario.budget:
        yield "the nodes come to rest: the writes do not end"
    for spec, view in machine_views(state):
        if view.phase is Phase.STOPPED and scenario.faults & HOSTILE_FAULTS:
            yield f"nobody is robbed: {spec.name} has stopped"
        if not view.confirmed:
            yield f"no node uses a subnet without a record: {spec.name} does"
        if view.unjustified:
            yield f"no node loses an address without cause: {spec.name}: {view.unjustified}"
        if view.phase in (Phase.ON, Phase.REDIALLING) and view.device in view.refused:
            yield f"the loser releases the address at once: {spec.name}'s device has an address that was refused"


def broken_when_quiet(state: State, scenario: Scenario) -> Iterator[str]:
    """Yield the promises that are broken in a quiet state: no message is in flight, every agent has seen the bucket."""
    running = [(spec, view) for spec, view in machine_views(state) if view.phase is Phase.ON]
    for spec, view in running:
        yield from _ownership_broken(state, spec, view)
    keys = [spec.key for spec, _ in running]
    if len(set(keys)) < len(keys):
        yield "the older of two copies stops: both run"
    for spec, view in machine_views(state):
        if view.phase is Phase.STOPPED and view.device in view.foreign:
            yield f"the loser releases the address: {spec.name} has stopped, and its device has another's address"
    if not scenario.faults & {Fault.CRASH, Fault.ROLLBACK}:
        yield from _newcomer_lost(state, scenario)


def _ownership_broken(state: State, spec: Spec, view: MachineView) -> Iterator[str]:
    """Yield what is wrong with a running agent, which must have one record and its address on the device."""
    if view.record is None:
        yield f"a running node has an address: {spec.name} has none"
        return
    records = state.kv.records()
    found = records.get(view.record.key)
    if found is None or not equal_but_nonce(found, view.record):
        yield f"one owner: {spec.name} believes to own a subnet recorded for {found.name if found else 'no node'}"
    if state.kv.era == 0 and not state.kv.go.reaches(view.record.public_key.text, view.record.allowed_ip):
        yield f"nodes of 0.3.0 have every peer: they lack {spec.name}"
    if view.device != view.record.key:
        yield f"the device has the claimed address: {spec.name}'s device has another"
    for key, record in state.kv.all_records().items():
        if record.name == spec.name and key != view.record.key:
            yield f"earlier records are withdrawn: {spec.name} left {record.allowed_ip}"


def _newcomer_lost(state: State, scenario: Scenario) -> Iterator[str]:
    """Yield the copies that stopped although they started last: only the older one may stop."""
    elders = {spec.name: spec.key for spec in scenario.machines if f"{spec.name} starts" in scenario.before}
    for spec, view in machine_views(state):
        if view.phase is Phase.STOPPED and spec.name not in elders and spec.key in elders.values():
            yield f"the newer copy keeps running: {spec.name} has stopped"
