"""Finds peers that do not answer, from what passes read. Pure.

A peer is silent if something was sent that needs an answer, and nothing has come from it since. One to which nothing
was sent is idle, and nobody can know whether it would answer.
"""

from collections.abc import Iterator, Mapping, Set

import msgspec
from msgspec.structs import replace

from ikto_core.device.endpoint_policy import HANDSHAKE_RECENT_S, INITIATION_BYTES, Moment
from ikto_core.device.model import PeerState
from ikto_core.values.keys import PublicKey

UNANSWERED_S = 30.0
"""How long an answer may be missing. WireGuard has tried five handshakes by then (REKEY_TIMEOUT, 5 s)."""


class _Sample(msgspec.Struct, frozen=True, gc=False):
    """A peer when something was last received from it, or when it was first seen."""

    rx_bytes: int
    tx_bytes: int
    last_handshake: float | None
    asked_since: float | None = None  # when an answer was first seen to be missing, by the monotonic clock


class SilenceTracker:
    """The peers of a device that are `silent`, by what `observe` was given."""

    def __init__(self) -> None:
        self._samples: dict[PublicKey, _Sample] = {}
        self._asked: dict[PublicKey, float] = {}  # peers whose answer is missing, and since when
        self._now = 0.0

    @property
    def silent(self) -> Set[PublicKey]:
        """The peers whose answer has been missing for UNANSWERED_S, as of the last `observe`."""
        return {key for key, since in self._asked.items() if self._now - since >= UNANSWERED_S}

    def observe(self, shown: Mapping[PublicKey, PeerState], at: Moment) -> None:
        """Take some peers as they were just read."""
        self._now = at.monotonic
        for key, peer in shown.items():
            self._samples[key] = sample = _sample(self._samples.get(key), peer, at)
            if sample.asked_since is not None:
                self._asked[key] = sample.asked_since
            elif key in self._asked:
                del self._asked[key]

    def owes_nothing(self, key: PublicKey, peer: PeerState) -> bool:
        """Return whether no answer of a peer is awaited, nor will be while its state stays the same."""
        sample = self._samples.get(key)
        return sample is not None and sample.asked_since is None and peer.tx_bytes - sample.tx_bytes < INITIATION_BYTES

    def forget(self, key: PublicKey) -> None:
        """Forget a peer that is not on the device any more."""
        self._samples.pop(key, None)
        self._asked.pop(key, None)


def _sample(before: _Sample | None, peer: PeerState, at: Moment) -> _Sample:
    if before is None:
        never = peer.last_handshake is None and peer.rx_bytes == 0
        before = _Sample(peer.rx_bytes, 0 if never else peer.tx_bytes, peer.last_handshake)
    elif peer.rx_bytes > before.rx_bytes or peer.last_handshake not in (None, before.last_handshake):
        return _Sample(peer.rx_bytes, peer.tx_bytes, peer.last_handshake)
    elif peer.rx_bytes < before.rx_bytes or peer.tx_bytes < before.tx_bytes:  # it was removed and added again
        before = _Sample(peer.rx_bytes, 0, peer.last_handshake, before.asked_since)
    if before.asked_since is not None or _needs_no_answer(before, peer, at.epoch):
        return before
    return replace(before, asked_since=at.monotonic)


def _needs_no_answer(before: _Sample, peer: PeerState, epoch: float) -> bool:
    """Return whether what was sent since then may stay unanswered; keepalives in a session do, too."""
    if peer.tx_bytes - before.tx_bytes < INITIATION_BYTES:
        return True
    in_session = peer.last_handshake is not None and 0 <= epoch - peer.last_handshake < HANDSHAKE_RECENT_S
    return in_session and bool(peer.persistent_keepalive)


def reasons(
    silent: Set[PublicKey],
    stalled: Set[PublicKey],
    without_endpoint: Mapping[PublicKey, str],
    shown: Mapping[PublicKey, PeerState],
) -> Iterator[tuple[PublicKey, str]]:
    """Yield the peers that this node can't reach, each once, with the reason.

    Args:
        silent: Those that do not answer.
        stalled: Those from which handshakes arrive, and no data.
        without_endpoint: Those of whose records no endpoint can be used, and why.
        shown: All peers on the device.

    """
    for key in sorted({*silent, *stalled, *without_endpoint} & shown.keys()):
        peer = shown[key]
        if key in stalled:
            yield key, "stalled: handshakes arrive, data does not"
        elif peer.endpoint is None and key in without_endpoint:
            yield key, f"no usable endpoint: {without_endpoint[key]}"
        elif key in silent:
            yield key, f"no answer from {peer.endpoint}" if peer.endpoint else "no endpoint known"
