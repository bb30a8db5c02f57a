"""Agents of a fleet: real ones, each with its own connection and a device in memory. Their tokens are public keys."""

from pathlib import Path

import msgspec

from benchmarks.fleet.node import Place, Tally
from benchmarks.fleet.records import address_of, key_of, port_of
from benchmarks.fleet.watching import Watch
from ikto_backends.fake import FakeHost
from ikto_core.admin.views import AgentState, CountersView
from ikto_core.agent.agent import run_agent
from ikto_core.agent.options import AgentOptions
from ikto_core.agent.progress import AgentProgress
from ikto_core.agent.report import Report
from ikto_core.builtin.ipam import RandomStrategy
from ikto_core.config import config_of
from ikto_core.device.backend import BackendPlugin
from ikto_core.device.model import DevicePatch
from ikto_core.ipam.contract import IpamPlugin

COUNTED = ("follower", "reconcile", "connection", "snapshot", "resync", "proof")
"""The groups of an agent's counters that are added up over a fleet."""


class FleetAgent:
    """An Ikto agent with a device in memory."""

    def __init__(self, number: int, place: Place, watch: Watch) -> None:
        self._host = WatchedHost(watch)
        self._report: Report | None = None
        self._before = Tally()  # of earlier runs
        self._key = key_of(number)
        self._config = config_of(
            name=f"node-{number}",
            private_address=f"fd10:{number:x}::1",
            advertise_address=address_of(number),
            wg_port=port_of(number),
            state_dir=str(Path(place.directory) / f"n{number}"),
            nats_url=",".join(place.servers),
            nats_kv=place.bucket,
            backend="fake",
        )

    async def run(self) -> None:
        """Run the agent until cancelled; the device stays."""
        progress = AgentProgress()
        options = AgentOptions(
            config=self._config,
            backend=BackendPlugin(name="fake", summary="", open=self._host.open, host_devices=False),
            ipam=IpamPlugin(name="random", summary="", make=RandomStrategy),
            event_hub=progress.event_hub,
            on_agent=self._started,
        )
        try:
            await run_agent(options, self._key)
        finally:
            self._before, self._report = self._before + self._counted(), None

    def is_current(self, revision: int) -> bool:
        """Return whether the agent follows the bucket and its device shows this revision or a later one."""
        progress = self._report.progress() if self._report else None
        return progress is not None and progress.state is AgentState.READY and (progress.revision or 0) >= revision

    def tally(self) -> Tally:
        """Return what it has counted, over all runs."""
        return self._before + self._counted() + self._host.tally()

    def _counted(self) -> Tally:
        """Return what the present run has counted."""
        return tally_of(self._report.counters()) if self._report else Tally()

    def _started(self, report: Report) -> None:
        self._report = report


class WatchedHost(FakeHost):
    """A host in memory that notes the peers of its device as they come and go, and keeps no list of writes."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch
        self._tally: dict[str, int] = {"applies": 0, "peers_created": 0, "peers_changed": 0, "peers_removed": 0}

    def apply(self, ifname: str, patch: DevicePatch) -> None:
        """Apply a patch, and note what it did."""
        super().apply(ifname, patch)
        self.writes.clear()
        self._tally["applies"] += 1
        for peer in patch.peers:
            self._tally["peers_created" if peer.create else "peers_changed"] += 1
            if peer.create:
                self._watch.appeared(peer.public_key.text)
        for public_key in patch.remove_peers:
            self._tally["peers_removed"] += 1
            self._watch.gone(public_key.text)

    def tally(self) -> Tally:
        """Return what was counted."""
        reads = {"device_reads": self.calls["read"], "peer_reads": self.calls["read_peers"]}
        return Tally({**self._tally, **reads})


def tally_of(counters: CountersView) -> Tally:
    """Return an agent's counters as `group.name`."""
    return Tally(
        {
            f"{group}.{name}": count
            for group in COUNTED
            for name, count in msgspec.structs.asdict(getattr(counters, group)).items()
        }
    )
