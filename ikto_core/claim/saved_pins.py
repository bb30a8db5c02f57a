"""The pins in a mesh snapshot. No I/O."""

from collections.abc import Collection
from typing import Any

from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.mesh.pin_rules import Pin
from ikto_core.mesh.pins import Pins
from ikto_core.mesh.proofs import ProofIndex


def pins_to_save(pins: Pins, accepted: Collection[str], now: float) -> dict[str, Any]:
    """Return the members of a snapshot that are about pins; `accepted`: the KV keys of its records."""
    gone = {key: now - pin.gone_since for key, pin in pins.pins.items() if pin.gone_since is not None}
    others = {key: pin.entry for key, pin in pins.pins.items() if key not in accepted}
    return {"proved": tuple(sorted(pins.pins)), "other_pins": others, "gone_s": gone}


def restore_pins(pins: Pins, proofs: ProofIndex, snapshot: MeshSnapshot, now: float, *, verified: bool) -> None:
    """Begin with the records and the pins of a snapshot; `verified`: it says that their signatures were verified."""
    entries = {**snapshot.entries, **snapshot.other_pins}
    proved = {key: proofs.trust(key, entries[key].value or b"", verified=verified).proof for key in snapshot.proved}
    pins.replace(snapshot.entries, now)
    since = {key: now - gone_s for key, gone_s in snapshot.gone_s.items()}
    pins.restore({key: Pin(entries[key], proof, since.get(key)) for key, proof in proved.items() if proof})
