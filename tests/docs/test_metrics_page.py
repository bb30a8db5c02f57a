"""docs/compatibility.md lists every metric with its labels."""

import re
from pathlib import Path

from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from ikto_core.admin.metrics import render
from ikto_core.admin.views import CredentialsView, LeaseView, ObserverView
from ikto_core.testing.devices import public_key_of
from ikto_core.values.counters import ObserverCounters
from ikto_core.values.times import utc
from tests.admin.node import WG, converged_node, peer_record
from tools.documents import ROOT

ROW = re.compile(r"^\| (.*`ikto_\w+`.*) \| ((?:`\w+`(?:, )?)*) ?\|$", re.MULTILINE)


def listed() -> dict[str, set[str]]:
    """Return the labels of each listed metric."""
    rows = ROW.findall((ROOT / "docs/compatibility.md").read_text().partition("## JSON and metrics")[2])
    return {name: set(re.findall(r"\w+", labels)) for names, labels in rows for name in re.findall(r"ikto_\w+", names)}


async def test_every_metric_is_listed_with_its_labels(tmp_path: Path) -> None:
    async with converged_node(tmp_path, peer_record(2)) as node:
        node.host.handshake(WG, public_key_of(2), 7.0)
        status = await node.report.status()
    assert status.timings
    observer = ObserverView(name="hosts", failure=None, waiting=0, counters=ObserverCounters())
    lease = LeaseView(lease_s=600, renewed_at=utc(1), failure="", refusal="")
    snapshot = replace(status.snapshot, saved_at=utc(1))
    text = render(
        replace(
            status,
            observers=(observer,),
            lease=lease,
            snapshot=snapshot,
            credentials=CredentialsView(expires_at=utc(1), expires_soon=True, failure=None),
            timings=replace(status.timings, clock_offset_s=0.5),
        ),
        peers_limit=1,
    ).decode()
    found = {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    assert found == listed()
