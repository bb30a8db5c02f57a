"""Finds peers whose tunnel passes packets one way only, from what full passes read. Pure.

Such a tunnel shakes hands, and nothing else arrives: some kernels decrypt data and never deliver it (CVE-2026-52945,
threaded NAPI), or something on the path drops data. WireGuard notices that its data gets no answer, not even an empty
keepalive, and makes a handshake every 15 s (KEEPALIVE_TIMEOUT and REKEY_TIMEOUT; WireGuard paper, section 6). A tunnel
that works makes one every 120 s at most (REKEY_AFTER_TIME), also where data flows one way only.
"""

from collections.abc import Mapping, Set

from ikto_core.device.model import PeerState
from ikto_core.values.keys import PublicKey

WINDOW_S = 45.0
"""The shortest time between two samples: some handshakes must fit. Full passes are 60 s apart, or less."""

STALLED_AFTER = 2
"""So many windows in a row make a peer stalled: a loss of packets or a restart of the peer ends within one."""

QUICK_RENEWAL_S = 100.0
"""A session that is renewed earlier was not renewed for its age, which WireGuard does after 120 s."""

HANDSHAKE_EVERY_S = 15.0
INITIATION_BYTES, RESPONSE_BYTES, KEEPALIVE_BYTES = 148, 92, 32
"""Sizes of messages (WireGuard paper, section 5.4)."""

NOBODY: frozenset[PublicKey] = frozenset()


class StallTracker:
    """The peers of a device that are `stalled`, by the samples that were taken of them."""

    def __init__(self) -> None:
        self.stalled: Set[PublicKey] = NOBODY
        self._windows: Mapping[PublicKey, int] = {}  # how many in a row were one-way; only of peers that had one
        self._sample: dict[PublicKey, PeerState] = {}
        self._sampled_at = 0.0
        self._previous: dict[PublicKey, PeerState] = {}
        self._previous_at = 0.0
        self._next: dict[PublicKey, PeerState] | None = None  # the sample that is being taken
        self._next_at = 0.0
        self._next_windows: dict[PublicKey, int] = {}
        self._dropped: dict[PublicKey, PeerState] = {}  # an old sample, emptied bit by bit

    def earlier(self, now: float, least_s: float) -> tuple[Mapping[PublicKey, PeerState], float] | None:
        """Return the latest sample of at least so many seconds ago, and its age in seconds; None: there is none.

        `now`: as in `begin`. The last two samples are kept.
        """
        for sample, at in ((self._sample, self._sampled_at), (self._previous, self._previous_at)):
            if sample and now - at >= least_s:
                return sample, now - at
        return None

    def begin(self, now: float) -> None:
        """Begin a sample unless the last one is too recent; `now` is in seconds of a clock that never goes back."""
        due = not self._sample or now - self._sampled_at >= WINDOW_S
        self._next, self._next_at, self._next_windows = {} if due else None, now, {}

    def add(self, shown: Mapping[PublicKey, PeerState]) -> None:
        """Take some peers as just read into the sample, if there is one."""
        for _ in range(min(len(shown), len(self._dropped))):
            self._dropped.popitem()
        if self._next is None:
            return
        self._next.update(shown)
        before, elapsed_s = self._sample, self._next_at - self._sampled_at
        for key, peer in shown.items():
            earlier = before.get(key)
            if earlier is not None and earlier is not peer and is_one_way(earlier, peer, elapsed_s):
                self._next_windows[key] = self._windows.get(key, 0) + 1

    def end(self) -> None:
        """End the sample: all peers were added."""
        if self._next is not None:
            self._dropped, self._previous, self._sample = self._previous, self._sample, self._next
            self._previous_at, self._sampled_at = self._sampled_at, self._next_at
            self._windows, self._next = self._next_windows, None
            self.stalled = frozenset(key for key, windows in self._windows.items() if windows >= STALLED_AFTER)


def is_one_way(before: PeerState, now: PeerState, elapsed_s: float) -> bool:
    """Return whether between two samples of a peer handshakes went on, data was sent, and none was received."""
    if before.last_handshake is None or now.last_handshake is None:
        return False
    renewed = 0 < now.last_handshake - before.last_handshake < QUICK_RENEWAL_S
    handshakes = 1 + elapsed_s / HANDSHAKE_EVERY_S
    only_handshakes_came = 0 <= now.rx_bytes - before.rx_bytes <= handshakes * (INITIATION_BYTES + RESPONSE_BYTES)
    data_went = now.tx_bytes - before.tx_bytes > handshakes * (INITIATION_BYTES + KEEPALIVE_BYTES)
    return renewed and only_handshakes_came and data_went
