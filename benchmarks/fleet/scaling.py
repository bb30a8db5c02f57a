"""`python -m benchmarks.fleet.scaling`: writes the figures and plots of docs/scaling.md, and the README's sentence.

They are made of results.json alone; a test says if they are not what it gives.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.fleet.course import Run
from benchmarks.fleet.model import Costs, Forecast, cold_on_one_host, costs_of, forecast, on_one_host
from benchmarks.fleet.phase import Notice, Phase
from benchmarks.fleet.results import RESULTS, load
from benchmarks.fleet.results import table as results_table
from benchmarks.fleet.tables import duration, size, table
from benchmarks.plots import Axis, Series, line_chart

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
SERVERS = (1, 3, 10)
HEAD = """\
# Fleets

`make bench-fleet` measured these phases, and `python -m benchmarks.fleet.scaling` wrote this page.
[Scaling](../docs/scaling.md) says what is measured, and what follows. Compare rows of one phase: all nodes share the
cores of one machine, and times depend on what else it does.

- put to one: from the put until a node has it, over all nodes; put to the last: until the last node has it, over all
  puts.
- CPU s: processor time of all nodes together, and of all servers.
- device writes: peers that were created, changed or removed on all devices.
- restart: from when the server runs again until all nodes have the first put that it accepts. Bare subscribers lose
  what comes before they are back, and keep nothing over a restart of their own: they are not measured there.
"""
FORECAST = (
    "nodes",
    "servers",
    "put to the last node: p50 / p99",
    "server busy with copies",
    "puts a second at most",
    "all nodes write once",
    "memory of a server",
    "first read of an agent",
    "memory of an agent",
)
CHANGES_A_DAY = 2.0
"""Writes of one node a day, in the forecast: restarts, and changes of its address."""


def main() -> None:
    """Write the pages."""
    for path, text in pages(load(RESULTS)).items():
        path.write_text(text)


def pages(runs: Sequence[Run]) -> dict[Path, str]:
    """Return the text of each file that is made of the results."""
    fleet = Fleet(runs)
    blocks = {"costs": fleet.costs_table(), "check": fleet.check_table(), "forecast": fleet.forecast_table()}
    return {
        DOCS / "scaling.md": _filled((DOCS / "scaling.md").read_text(), blocks),
        ROOT / "README.md": _filled((ROOT / "README.md").read_text(), {"notice": fleet.sentence()}),
        ROOT / "benchmarks" / "FLEET.md": f"{HEAD}\n{results_table(runs)}",
        DOCS / "scaling-put.svg": fleet.put_plot(),
        DOCS / "scaling-cold.svg": fleet.cold_plot(),
        DOCS / "scaling-forecast.svg": fleet.forecast_plot(),
    }


def _filled(page: str, blocks: Mapping[str, str]) -> str:
    """Return a page with new text between the marks of each block."""
    for name, text in blocks.items():
        marked = rf"(<!-- fleet: {name} -->\n).*?(<!-- end -->)"
        parts = re.split(marked, page, flags=re.DOTALL)
        assert len(parts) == 4, f"no block {name}"
        before, begin, end, after = parts
        page = f"{before}{begin}{text}\n{end}{after}"
    return page


class Fleet:
    """The results, by setting."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._phases = {
            (run.setting.kind, run.setting.nodes, run.setting.servers): {phase.phase: phase for phase in run.phases}
            for run in runs
        }
        few, *self.sizes = sorted({nodes for kind, nodes, servers in self._phases if kind == "agents" and servers == 1})
        cold = self.phases("agents", few)["cold"]
        self.costs: Costs = costs_of(self.phases("agents", self.sizes[0]), self.sizes[0], cold, few)

    def phases(self, kind: str, nodes: int, servers: int = 1) -> Mapping[str, Phase]:
        """Return the phases of one run by name; none if it was not run."""
        return self._phases.get((kind, nodes, servers), {})

    def sentence(self) -> str:
        """Return the sentence of the README."""
        nodes = self.sizes[0]  # with more, a put waits for the two cores that all agents share
        seen, bare = self._one_put("agents", nodes), self._one_put("subscribers", nodes)
        assert seen
        assert bare
        return (
            f"{nodes} agents on one NATS server, all on one machine with two cores, show a new record after "
            f"{duration(seen.p50)} (median) and {duration(seen.p99)} (99 %); as many bare subscribers hear of it after "
            f"{duration(bare.p50)} and {duration(bare.p99)}. [Scaling](docs/scaling.md): what larger meshes cost."
        )

    def costs_table(self) -> str:
        """Return the unit costs as a table."""
        costs = self.costs
        rows = [
            ("server: one copy of one write", duration(costs.push_s)),
            ("server: one node that starts", duration(costs.join_s)),
            ("server: one idle node", f"{costs.server_idle_s * 1e6:.0f} µs a second"),
            ("server: memory for one node", size(costs.node_rss)),
            ("network: one write, to each node", size(costs.push_bytes)),
            ("agent: one new record, until its device shows it and all is done that follows", duration(costs.notice_s)),
            ("agent: its start, without records", duration(costs.start_s)),
            ("agent: one record when it starts with nothing", duration(costs.first_record_s)),
            ("agent: idle", f"{costs.agent_idle_s * 1e6:.0f} µs a second"),
            ("agent: memory for one record", size(costs.record_rss)),
        ]
        return table(("what", "processor time, or size"), rows)

    def check_table(self) -> str:
        """Return what the model says of the larger fleets, beside what they measured."""
        rows = [
            (nodes, what, f"{said:.2f} s", f"{measured:.2f} s", f"{said / measured:.2f}")
            for nodes in self.sizes[1:]
            for what, said, measured in self._checks(nodes)
        ]
        return table(("nodes", "what", "model", "measured", "model / measured"), rows)

    def _checks(self, nodes: int) -> list[tuple[str, float, float]]:
        phases = self.phases("agents", nodes)
        cold, rate = phases["cold"], phases["rate"]
        assert rate.notice
        cold_said = cold_on_one_host(self.costs, nodes)
        rate_said = on_one_host(self.costs, nodes, rate.notice.writes, rate.wall_s)
        return [
            ("cold start of all: agents", cold_said[0], cold.nodes_cpu_s),
            ("cold start of all: server", cold_said[1], cold.server.cpu_s),
            (f"{rate.notice.writes} puts: agents", rate_said[0], rate.nodes_cpu_s),
            (f"{rate.notice.writes} puts: server", rate_said[1], rate.server.cpu_s),
        ]

    def forecasts(self, servers: int) -> list[Forecast]:
        """Return the forecasts for all sizes."""
        return [
            forecast(self.costs, nodes, puts_per_s=nodes * CHANGES_A_DAY / 86_400, servers=servers, seconds=20_000)
            for nodes in SIZES
        ]

    def forecast_table(self) -> str:
        """Return the forecasts as a table."""
        return table(
            FORECAST, [_forecast_row(each, servers) for servers in SERVERS for each in self.forecasts(servers)]
        )

    def put_plot(self) -> str:
        """Return the plot of the delay to the last node."""
        series = [
            Series(kind, [(n, 1000 * seen.last_p50) for n in self.sizes if (seen := self._one_put(kind, n))])
            for kind in ("agents", "kv.watch", "subscribers")
        ]
        x, y = Axis("nodes, all on two cores", log=True), Axis("ms", log=True)
        return line_chart("One put until the last node has it (median)", series, x, y)

    def _one_put(self, kind: str, nodes: int) -> Notice | None:
        phase = self.phases(kind, nodes).get("one put")
        return phase.notice if phase else None

    def cold_plot(self) -> str:
        """Return the plot of a cold start."""
        series = [
            Series(kind, [(n, self.phases(kind, n)["cold"].nodes_cpu_s) for n in self.sizes if self.phases(kind, n)])
            for kind in ("agents", "kv.watch")
        ]
        said = [(float(n), cold_on_one_host(self.costs, n)[0]) for n in self.sizes]
        series.append(Series("agents, by the model", said, dashed=True))
        x, y = Axis("nodes", log=True), Axis("processor seconds of all nodes", log=True)
        return line_chart("Cold start: all nodes join an empty bucket at once", series, x, y)

    def forecast_plot(self) -> str:
        """Return the plot of the forecast."""
        series = [
            Series(
                f"{servers} server{'s' if servers > 1 else ''}",
                [(one.nodes, one.notice.last_p99) for one in self.forecasts(servers) if one.busy < 1],
                dashed=True,
            )
            for servers in SERVERS
        ]
        x, y = Axis("nodes", log=True), Axis("seconds", log=True)
        return line_chart("Forecast: a put until the last node has it (99 %)", series, x, y)


def _forecast_row(one: Forecast, servers: int) -> Sequence[object]:
    seen = one.notice
    return (
        f"{one.nodes:,}",
        servers,
        f"{duration(seen.last_p50)} / {duration(seen.last_p99)}" if one.busy < 1 else "grows without end",
        f"{one.busy:.1%}",
        f"{one.most_puts_per_s:.3g}",
        duration(one.wave_s),
        size(one.server_rss),
        duration(one.first_read_s),
        size(one.agent_rss),
    )


if __name__ == "__main__":
    main()
