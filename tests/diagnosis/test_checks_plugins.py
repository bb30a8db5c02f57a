"""A plugin's check adds findings; one that fails, hangs or returns nonsense is its own error, and nothing else's."""

from pathlib import Path
from textwrap import dedent

import pytest
from msgspec.structs import replace

from ikto_core.admin.views import ObserverView
from ikto_core.diagnosis.checks import Result, run_checks
from ikto_core.diagnosis.checks_plugins import MOST_FINDINGS, added_checks
from ikto_core.plugins import load_plugins
from ikto_core.plugins.check_contract import Level
from ikto_core.values.counters import ObserverCounters
from tests.cli.test_status import STATUS
from tests.diagnosis.checking import findings_of, node_to_check, only_finding
from tests.plugin_site import AGING, AGING_USE, Site

CHECK = """
from ikto_core.plugins import CheckPlugin, Finding, Level

def run(context):
    {body}

@hookimpl
def ikto_register_checks():
    yield CheckPlugin(name="disk", summary="the disk is fine", run=run)
"""


async def added(site: Site, tmp_path: Path, body: str, limit_s: float = 10.0) -> list[Result]:
    """The results of the check of a plugin with this body."""
    site.install("acme-ikto", CHECK.format(body=body))
    subject = node_to_check(tmp_path)
    async with subject:
        return [result async for result in run_checks(subject, added_checks(subject, limit_s))]


async def test_a_plugin_adds_findings_with_its_own_page(site: Site, tmp_path: Path) -> None:
    body = (
        "return [Finding(level=Level.WARNING, text=f'{context.ifname}\\nis hot', fix='cool it', page='https://acme')]"
    )
    (result,) = await added(site, tmp_path, body)
    assert (result.category.value, result.check) == ("plugins", "acme-ikto/disk")
    assert (result.finding.level, result.finding.text) == (Level.WARNING, "wg0 is hot")
    assert (result.finding.fix, result.finding.page) == ("cool it", "https://acme")


async def test_a_check_that_finds_nothing_says_that_all_is_well(site: Site, tmp_path: Path) -> None:
    (result,) = await added(site, tmp_path, "return ()")
    assert (result.finding.level, result.finding.text) == (Level.OK, "the disk is fine")


FAILURES = [
    ("raise RuntimeError('no\\nlicence')", "the check failed: RuntimeError: no licence"),
    ("raise SystemExit(3)", "the check failed: SystemExit: 3"),
    ("import asyncio; raise asyncio.CancelledError", "the check failed: CancelledError"),
    ("raise IktoError('no disk', hint='buy one')", "no disk"),
    ("return 7", "the check failed: TypeError: 'int' object is not iterable"),
    ("return ['x']", "the check failed: TypeError: it returned a str, not a Finding"),
    ("return [Finding(level='bad', text='')]", "the check failed: TypeError: its level is a str, not a Level"),
    ("import itertools; return (Finding(level=Level.OK, text=str(n)) for n in itertools.count())", "more than 100 fin"),
]


@pytest.mark.parametrize(("body", "text"), FAILURES)
async def test_a_check_that_fails_is_its_own_error(site: Site, tmp_path: Path, body: str, text: str) -> None:
    results = await added(site, tmp_path, body)
    assert text in results[-1].finding.text
    assert results[-1].finding.level is Level.ERROR
    assert results[-1].finding.fix
    assert len(results) <= MOST_FINDINGS + 1


async def test_a_check_that_hangs_is_given_up(site: Site, tmp_path: Path) -> None:
    (result,) = await added(site, tmp_path, "import threading; threading.Event().wait(60)", limit_s=0.05)
    assert result.finding.text == "the check did not end within 0.05 s"
    assert result.finding.level is Level.ERROR


async def test_what_a_check_prints_goes_to_stderr(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await added(site, tmp_path, "print('noise'); return ()")
    assert capsys.readouterr() == ("", "noise\n")


def test_checks_are_listed_among_the_plugins(site: Site) -> None:
    site.install("acme-ikto", CHECK.format(body="return ()"))
    (row,) = [row for row in load_plugins().listing() if row.kind == "check"]
    assert (row.name, row.distribution, row.status) == ("disk", "acme-ikto", "ok")


async def test_an_unusable_plugin_is_a_warning(site: Site, tmp_path: Path) -> None:
    site.install("acme-ikto", "raise RuntimeError('no licence')")
    found = await only_finding(node_to_check(tmp_path), "plugins")
    assert found.level is Level.WARNING
    assert found.text == "plugin acme-ikto of acme-ikto 1.5 is unusable: import raised RuntimeError: no licence"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_plugin_that_uses_what_is_deprecated_is_a_warning(site: Site, tmp_path: Path) -> None:
    site.install("acme-ikto", f"{AGING}@hookimpl\ndef ikto_register_backends(): yield backend('acme')")
    found = await only_finding(node_to_check(tmp_path), "plugins")
    assert found.level is Level.WARNING
    assert found.text == f"backend acme of acme-ikto 1.5 won't run with a later Ikto: {AGING_USE}"
    assert "newer version of acme-ikto" in found.fix


async def test_an_observer_without_events_is_an_error(tmp_path: Path) -> None:
    views = [
        ObserverView(name=name, failure=failure, waiting=0, counters=ObserverCounters())
        for name, failure in (("hosts", None), ("exec=/x", "no such file"))
    ]
    found = await findings_of(node_to_check(tmp_path, status=replace(STATUS, observers=tuple(views))), "observers")
    assert [finding.text for finding in found] == ["the observer exec=/x gets no events: no such file"]


async def test_the_plugin_in_the_docs_works(site: Site, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/plugins.md").read_text()
    block = page.partition("## Checks\n")[2].partition("in this hook:\n\n")[2].partition("\n\nA check is")[0]
    site.install("acme-ikto", dedent(block))
    subject = node_to_check(tmp_path, mesh_cidr="fd20::/16", private_address="fd20::1")
    async with subject:
        (result,) = [result async for result in run_checks(subject, added_checks(subject))]
    assert result.finding.text == "wg0 is not in the company's mesh"
    assert result.finding.page == "https://example.net/mesh"
