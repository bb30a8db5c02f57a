"""The dashboard and the alerts use only metrics that a real agent has, with the labels that it gives them."""

import json
import re
import socket
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.docs.test_metrics_page import listed
from tests.docs.test_pages import ROOT
from tests.e2e.conftest import Mesh, eventually
from tests.raw_http import get

DASHBOARD = ROOT / "packaging/grafana-dashboard.json"
ALERTS = ROOT / "packaging/alerts.yml"
NAME = re.compile(r"\bikto_\w+")
BY = re.compile(r"by \(([^)]*)\)")
LEGEND = re.compile(r"{{(\w+)}}")
SCRAPED = {"job", "instance", "le"}
"""Labels that come from the scraper, or with a histogram."""

SOMETIMES = re.compile(r"ikto_(lease|credentials|observer)_")
"""Metrics that only some agents have; docs/compatibility.md lists them, and a test compares it with an agent's."""


def expressions() -> Iterator[tuple[str, str]]:
    """Yield every expression of the dashboard and of the alerts, with the labels that its text shows."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"], target["legendFormat"]
    for alert in alerts():
        yield alert["expr"], alert["summary"].replace("$labels.", "")


def alerts() -> Iterator[dict[str, str]]:
    """Yield the alerts; whoever adds a line in another form extends this."""
    head, _, rules = ALERTS.read_text().partition("    rules:\n")
    assert head.splitlines()[-2:] == ["groups:", "  - name: ikto"]
    for rule in rules.split("      - alert: ")[1:]:
        name, *lines = rule.splitlines()
        found = {"alert": name}
        for line in lines:
            key, value = re.fullmatch(r" {8,10}(\w+):(?: (.*))?", line).groups()  # type: ignore[union-attr]
            found[key] = json.loads(value) if (value or "").startswith('"') else value or ""
        yield found


@pytest.mark.e2e
def test_every_metric_of_the_dashboard_and_the_alerts_is_one_of_a_real_agent(mesh: Mesh) -> None:
    agent, _ = mesh.agent(), mesh.agent()
    mesh.assert_formed()
    found: dict[str, set[str]] = {}

    def read() -> bool:
        for family in text_string_to_metric_families(get(agent.socket, "/metrics")):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
        return "ikto_clock_offset_seconds" in found

    eventually(read)
    used = {name for expression, _ in expressions() for name in NAME.findall(expression)}
    assert len(used) > 30
    assert {name for name in used if not SOMETIMES.match(name)} <= found.keys()
    assert used <= found.keys() | listed().keys()
    for expression, legend in expressions():
        labels = {label for group in BY.findall(expression) for label in group.split(", ")} | set(
            LEGEND.findall(legend)
        )
        known = set().union(*(found.get(name, set()) for name in NAME.findall(expression)))
        assert labels - {"value"} <= known | SCRAPED, expression


@pytest.mark.e2e
def test_an_agent_is_scraped_over_tcp_if_that_is_configured(mesh: Mesh) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    agent = mesh.agent(metrics_listen=address)
    mesh.assert_formed()
    with urlopen(f"http://{address}/metrics", timeout=60) as answer:  # this test's own agent
        assert b"\nikto_ready 1.0\n" in answer.read()
    second = mesh.agent(metrics_listen=address)
    assert second.wait() == 1
    assert f"metrics_listen: can't listen on {address}: Address already in use" in second.log_text().splitlines()[-1]
    assert agent.running
    third = mesh.agent(metrics_listen="0.0.0.0:9586")
    assert third.wait() == 3
    (line,) = [line for line in third.log_text().splitlines() if "metrics_listen" in line]
    assert "is not an address and a port of the loopback" in line


def test_what_must_wake_somebody_has_an_alert() -> None:
    found = {alert["alert"]: alert["expr"] for alert in alerts()}
    for metric in (
        "ikto_ready",
        "ikto_sync_lag_seconds",
        "ikto_quarantined_records",
        "ikto_pending_removals",
        "ikto_clock_offset_seconds",
        "ikto_credentials_expiry_timestamp_seconds",
        "ikto_unreachable_peers",
        "ikto_nats_connected",
    ):
        assert any(metric in expression for expression in found.values()), metric
    assert len(found) == len(list(alerts()))


def test_every_alert_says_what_is_wrong_and_where_to_read_on() -> None:
    for alert in alerts():
        assert {"alert", "expr", "labels", "annotations", "summary", "runbook"} <= alert.keys()
        page, _, anchor = alert["runbook"].partition("#")
        text = (ROOT / page).read_text()
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in slugs, alert["runbook"]


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    cells = [
        (x, y)
        for panel in dashboard["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
