"""What must hold: in every state, at every step, and whenever the world is quiet."""

from collections.abc import Iterator

from msgspec.structs import replace

from tests.claim_model.events import Look, Phase, Spec
from tests.claim_model.world import Fault, Scenario, State, look_at

MOST_WRITES = 7
MOST_WRITES_A_FAULT = 4
"""Who writes more than this will write for ever."""


def always_broken(state: State, scenario: Scenario) -> Iterator[str]:
    """Yield which promises a state breaks that must hold in every one."""
    if state.kv.revision > MOST_WRITES + MOST_WRITES_A_FAULT * scenario.budget:
        yield "they come to rest: nobody writes for ever"
    for spec, look in look_at(state):
        if not look.proved:
            yield f"nobody uses what was not recorded as its own: {spec.name} does"
        if look.groundless:
            yield f"nobody loses an address without cause: {spec.name}: {look.groundless}"
        if look.phase in (Phase.ON, Phase.REDIALLING) and look.device in look.denied:
            yield f"the loser lets go at once: {spec.name}'s device has an address that it was told is another's"


def quietly_broken(state: State, scenario: Scenario) -> Iterator[str]:
    """Yield which promises are broken now that no message is on its way and everybody has reacted to the bucket."""
    running = [(spec, look) for spec, look in look_at(state) if look.phase is Phase.ON]
    for spec, look in running:
        yield from _ownership_broken(state, spec, look)
    keys = [spec.key for spec, _ in running]
    if len(set(keys)) < len(keys):
        yield "the older of two copies stops: both run"
    for spec, look in look_at(state):
        if look.phase is Phase.STOPPED and look.device in look.shown:
            yield f"the loser lets go: {spec.name} has stopped, and its device has another's address"
    if not scenario.faults & {Fault.CRASH, Fault.ROLLBACK}:
        yield from _newcomer_lost(state, scenario)


def _ownership_broken(state: State, spec: Spec, look: Look) -> Iterator[str]:
    """A running agent has a subnet; the bucket says so, and says it of no other."""
    if look.record is None:
        yield f"who runs has an address: {spec.name} has none"
        return
    records = state.kv.records()
    found = records.get(look.record.key)
    if found is None or replace(found, nonce="") != look.record:
        yield f"one owner: {spec.name} believes to own what is recorded as {found.name if found else 'nobody'}'s"
    if look.device != look.record.key:
        yield f"who owns an address uses it: {spec.name}'s device has another"
    for key, record in records.items():
        if record.name == spec.name and key != look.record.key:
            yield f"earlier records are withdrawn: {spec.name} left {record.allowed_ip}"


def _newcomer_lost(state: State, scenario: Scenario) -> Iterator[str]:
    """Of copies, those that have come to rest before never make a newcomer stop."""
    elders = {spec.name: spec.key for spec in scenario.machines if f"{spec.name} starts" in scenario.before}
    for spec, look in look_at(state):
        if look.phase is Phase.STOPPED and spec.name not in elders and spec.key in elders.values():
            yield f"the newcomer keeps: {spec.name} has stopped"
