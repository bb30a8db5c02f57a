"""Which machines take part, how they are configured, and what happened before."""

from msgspec.structs import replace

from tests.claim_model.events import A, B, Spec
from tests.claim_model.world import Fault, Scenario

RACE = Scenario(name="two want one subnet", machines=(Spec(name="one", key=1), Spec(name="other", key=2)))
HELD = replace(RACE, name="one has the subnet that the other wants", before=("one starts",))
ALONE = Scenario(name="one wants a subnet", machines=(Spec(name="one"),))
RESTARTED = Scenario(
    name="one had a subnet, lost its record, and had it again",
    machines=ALONE.machines,
    before=("one starts", "one is killed", "one's record is deleted", "one starts", "one is killed"),
)
AUTOMATIC = Scenario(
    name="two want any subnet",
    machines=(Spec(name="one", key=1, addresses=("auto",)), Spec(name="other", key=2, addresses=("auto",))),
)
MIXED = Scenario(
    name="one wants any subnet, the other the lowest",
    machines=(Spec(name="any", key=1, addresses=("auto",)), Spec(name="lowest", key=2)),
)
MOVED = Scenario(
    name="one moves, the other wants its place",
    machines=(Spec(name="mover", key=1, addresses=(A, B)), Spec(name="other", key=2)),
)
MOVING = Scenario(
    name="one has a subnet and moves, the other wants it",
    machines=MOVED.machines,
    before=("mover starts", "mover is killed"),
)
COPIES = Scenario(
    name="a copy starts",
    machines=(Spec(name="original"), Spec(name="copy", copied_from=0)),
    before=("original starts",),
)
REINSTALLED = Scenario(
    name="a copy starts with an empty disk",
    machines=(Spec(name="original"), Spec(name="copy")),
)
LOST_DISK = Scenario(
    name="one has lost its disk, but not its record",
    machines=(Spec(name="one", loses_disk=True),),
    before=("one starts", "one is killed", "one starts"),
)
MOVED_AND_RESTARTED = Scenario(
    name="one had a subnet, lost its record, and has another subnet",
    machines=(Spec(name="one", addresses=(A, B)),),
    before=("one starts", "one is killed", "one's record is deleted", "one starts", "one is killed", "one starts"),
)
LOST_DISK_MOVING = Scenario(
    name="one has lost its disk, but not its record, and moves",
    machines=(Spec(name="one", addresses=(A, B), loses_disk=True),),
    before=("one starts", "one is killed"),
)
COPY_ELSEWHERE = Scenario(
    name="a copy with another address starts",
    machines=(Spec(name="original"), Spec(name="copy", copied_from=0, addresses=(B,))),
    before=("original starts",),
)
ATTACKED = Scenario(
    name="a hostile node writes over a record",
    machines=(Spec(name="one", key=1), Spec(name="other", key=2, addresses=(B,))),
    before=("one starts", "other starts"),
    faults=frozenset({Fault.ROB, Fault.FORGE}),
    budget=2,
)
ATTACKED_APART = replace(
    ATTACKED,
    name="a hostile node writes over a record, and sessions end",
    machines=(Spec(name="one", key=1, addresses=("auto",)),),
    before=("one starts",),
    faults=ATTACKED.faults | {Fault.RECONNECT, Fault.LOSE},
)
ALL = (
    ALONE,
    RACE,
    HELD,
    MOVED_AND_RESTARTED,
    RESTARTED,
    AUTOMATIC,
    MIXED,
    MOVED,
    MOVING,
    COPIES,
    REINSTALLED,
    LOST_DISK,
    LOST_DISK_MOVING,
    COPY_ELSEWHERE,
    ATTACKED,
    ATTACKED_APART,
)

CROWDS = (
    Scenario(
        name="three want one subnet",
        machines=(Spec(name="one", key=1), Spec(name="other", key=2), Spec(name="third", key=3)),
        budget=3,
    ),
    Scenario(
        name="three want any subnet",
        machines=tuple(Spec(name=f"any-{key}", key=key, addresses=("auto",)) for key in (1, 2, 3)),
        budget=3,
    ),
    Scenario(
        name="one moves, one wants its place, one any, and a copy starts",
        machines=(
            Spec(name="mover", key=1, addresses=(A, B)),
            Spec(name="other", key=2),
            Spec(name="any", key=3, addresses=("auto",)),
            Spec(name="copy", key=2),
        ),
        budget=2,
    ),
)
