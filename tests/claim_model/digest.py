"""Compares the states of two machines: their parts, and the instruction at which each coroutine is stopped."""

import asyncio
import gc
import types
from collections.abc import Callable, Hashable
from enum import Enum
from functools import partial
from random import Random
from typing import Any

import msgspec

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.config import Config
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.state_file import StateFile
from ikto_core.mesh.proofs import ProofIndex
from ikto_core.values.counters import FollowerCounters, ProofCounters, RecordCounters
from ikto_core.values.keys import PrivateKey
from tests.claim_model.kv import Kv

COMPARED_BY_VALUE = (int, str, bytes, type, types.NoneType, Enum, Kv, PrivateKey)
"""Compared by value."""

CODE = (
    types.CodeType,
    types.FrameType,
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    types.ModuleType,
    partial,
)
IGNORED = (
    *CODE,
    float,
    Config,
    FakeBackend,
    FakeHost,
    FollowerCounters,
    ProofCounters,
    ProofIndex,
    RecordCounters,
    Reconciler,
    StateFile,
    asyncio.Handle,
    asyncio.AbstractEventLoop,
)
"""The same in every state of a machine, part of `MachineView` (device, disk), or without effect on what it does."""

ITERATORS: tuple[type, ...] = (
    type(iter([])),
    type(iter(())),
    type(iter(range(0))),
    type(iter({})),
    type(iter({}.items())),
)


class CountingRandom(Random):
    """Random numbers that are the same in every exploration; its state is the number of `getrandbits` calls."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name, self.drawn = name, 0

    def getrandbits(self, k: int, /) -> int:
        self.drawn += 1
        return Random(f"{self.name}, draw {self.drawn}").getrandbits(k)

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


def digest(thing: object) -> Hashable:
    """Return a value that is equal for objects that will behave alike from now on."""
    return _digest(thing, {})


def _digest(thing: object, seen: dict[int, tuple[int, object]]) -> Hashable:
    if isinstance(thing, COMPARED_BY_VALUE):
        return thing
    if isinstance(thing, IGNORED):
        return None
    if id(thing) in seen:
        return ("seen before", seen[id(thing)][0])
    seen[id(thing)] = len(seen), thing  # kept, or another object might get its id
    return type(thing).__name__, *(_digest(part, seen) for part in _parts(thing))


def _parts(thing: object) -> list[object]:
    """Return the parts of an object, in an order that is the same for equal objects."""
    for kinds, parts in PARTS:
        if isinstance(thing, kinds):
            return parts(thing)
    return list(vars(thing).values()) if hasattr(thing, "__dict__") else gc.get_referents(thing)


Kinds = type | tuple[type, ...]
PARTS: tuple[tuple[Kinds, Callable[[Any], list[object]]], ...] = (
    (CountingRandom, lambda it: [it.name, it.drawn]),
    (asyncio.Event, lambda event: [event.is_set()]),
    (asyncio.Future, lambda future: [future.done()]),
    (dict, lambda mapping: [part for item in mapping.items() for part in item]),
    ((set, frozenset), lambda items: sorted(items, key=repr)),
    ((list, tuple), list),
    (BaseException, lambda error: [str(error)]),
    (msgspec.Struct, lambda struct: [getattr(struct, name) for name in struct.__struct_fields__]),
    (types.CoroutineType, lambda it: [it.cr_code, it.cr_frame and it.cr_frame.f_lasti, *gc.get_referents(it)]),
    (types.GeneratorType, lambda it: [it.gi_code, it.gi_frame and it.gi_frame.f_lasti, *gc.get_referents(it)]),
    (ITERATORS, lambda iterator: list(iterator.__reduce__())),
)
