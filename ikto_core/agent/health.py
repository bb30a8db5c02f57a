"""What this node answers about itself when the mesh is asked (fleet/). Reads the device; does no other I/O."""

import time
from collections.abc import Mapping

from ikto_core import __version__
from ikto_core.agent.report import Report
from ikto_core.claim.controller import ClaimController
from ikto_core.claim.desired_state import DesiredState
from ikto_core.device.model import PeerState
from ikto_core.device.reconciler import Reconciler
from ikto_core.fleet.answer import NodeAnswer, PeerHealth, Request, heard_peers
from ikto_core.fleet.heard import Heard, Sample, heard_states
from ikto_core.fleet.responder import about_key
from ikto_core.values.keys import PublicKey

SAMPLE_AGE_S = 15.0
"""Packets without a session are seen by what changed in so many seconds or more. WireGuard tries every 5 s."""


class NodeHealth:
    """Implements HealthSource from the agent's parts."""

    def __init__(
        self, report: Report, controller: ClaimController, desired_state: DesiredState, reconciler: Reconciler
    ) -> None:
        self._report = report
        self._controller = controller
        self._desired_state = desired_state
        self._reconciler = reconciler

    @property
    def kv_key(self) -> str | None:
        """The KV key of this node's record; None: it holds no claim."""
        record = self._controller.record
        return record.key if record else None

    @property
    def nodes(self) -> int:
        """The number of nodes of the mesh, this one included."""
        return len(self._desired_state.view.peers) + 1

    async def answer(self, request: Request) -> NodeAnswer:
        """Return the answer to a question. A device that can't be read is left out of it."""
        view = self._desired_state.view
        shown, now_s = await self._shown(), time.time()
        states = {} if shown is None else self._states(shown, now_s)
        heard, left_out = heard_peers(states)
        key = about_key(request)
        return NodeAnswer(
            nonce=request.nonce,
            public_key=view.rules.own_key.text,
            version=__version__,
            state=self._report.state.value,
            revision=self._reconciler.shown_revision,
            bucket_revision=self._controller.follower.bucket_revision,
            accepted=len(view.peers),
            quarantined=len(view.quarantined),
            pending_removals=len(self._reconciler.pending_removals | self._desired_state.held_peers()),
            time_s=now_s,
            heard=None if shown is None else heard,
            left_out=left_out,
            about=peer_health(states[key], (shown or {}).get(key), now_s) if key and key in states else None,
        )

    def _states(self, shown: Mapping[PublicKey, PeerState], now_s: float) -> dict[PublicKey, Heard]:
        earlier = self._reconciler.earlier_peers(time.monotonic(), SAMPLE_AGE_S)
        before = Sample(earlier[0], now_s - earlier[1]) if earlier else None
        return heard_states(self._desired_state.view.peers, shown, before, self._reconciler.stalled, now_s)

    async def _shown(self) -> Mapping[PublicKey, PeerState] | None:
        """Return the device's peers; None if they can't be read in time."""
        device, failure = await self._report.read_device()
        return None if failure else device.peers if device else {}


def peer_health(heard: Heard, peer: PeerState | None, now_s: float) -> PeerHealth:
    """Return what to tell of one peer; None: it is not on the device."""
    handshake = peer.last_handshake if peer else None
    return PeerHealth(
        heard=heard,
        handshake_age_s=None if handshake is None else max(0.0, now_s - handshake),
        rx_bytes=peer.rx_bytes if peer else 0,
        tx_bytes=peer.tx_bytes if peer else 0,
        has_endpoint=peer is not None and peer.endpoint is not None,
    )
