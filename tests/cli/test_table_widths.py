"""Tables fit 80 columns with long data: no line is longer, no key, subnet or endpoint is broken, columns align."""

import re
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from ikto_core.admin.mesh_views import PeersView, PeerView
from ikto_core.cli import mesh_text, node_tables, peers, status
from ikto_core.cli.plugins import plugins
from ikto_core.cli.tables import Row, Section, line, rendered, short_keys, show
from ikto_core.roster.listing import NodeRecord
from ikto_core.values.columns import width_of
from ikto_core.values.times import utc
from tests.cli.test_status import DEVICE, NOW, STATUS
from tests.cli.test_status import peer as device_peer
from tests.fleet.meshes import known, mesh_of
from tests.plugin_site import Site
from tests.samples import KEYS

NAMES = ("node-in-rack-0123456", "東京都千代田区丸の内一丁目東京都千代田区", "a", "node-in-rack-0123457")
SUBNETS = tuple(f"fd10:1234:567{number}::/48" for number in range(4))
ENDPOINT = "[2001:db8:1234:5678:9abc:def0:1234:5678]:51820"
REASON = "it overwrites the record of another public key without that key's proof, which nobody may do here"


def status_sections() -> list[Section]:
    on_device = [
        replace(device_peer(number, NOW - 100), name=name, endpoint=ENDPOINT, stalled=True, rx_bytes=1_072_693_248)
        for number, name in enumerate(NAMES)
    ]
    device = replace(DEVICE, peers=tuple(replace(p, allowed_ips=(s,)) for p, s in zip(on_device, SUBNETS, strict=True)))
    return status.sections(replace(STATUS, name=NAMES[0], device=device, device_failure=REASON), NOW)


def peers_sections() -> list[Section]:
    views = tuple(
        PeerView(
            public_key=KEYS[number].text,
            name=name,
            allowed_ips=(SUBNETS[number],),
            endpoints=(ENDPOINT,),
            on_device=number != 1,
            endpoint=ENDPOINT,
            last_handshake=utc(NOW - 119),
            draining=number == 2,
        )
        for number, name in enumerate(NAMES)
    )
    return [peers.section(PeersView(peers=views, device_failure=None), NOW)]


def node_sections() -> list[Section]:
    records = [
        NodeRecord(
            key="peers.x",
            allowed_ip=SUBNETS[number],
            name=name,
            public_key=KEYS[number].text,
            endpoints=(ENDPOINT,),
            revision=7,
            written_at="2023-11-14T22:12:00Z",
            accepted=number != 1,
            quarantine=REASON if number == 1 else None,
        )
        for number, name in enumerate(NAMES)
    ]
    return node_tables.node_tables(records, NOW, wide=False)


def mesh_sections() -> list[Section]:
    nodes = [replace(node, allowed_ips=(SUBNETS[n],)) for n, node in enumerate(known(4, list(NAMES)))]
    return mesh_text.sections(*mesh_of(nodes, revision=4, quarantined=2, silent=[3]))


MAKERS = (status_sections, peers_sections, node_sections, mesh_sections)


@pytest.mark.parametrize("made", MAKERS)
def test_a_table_fits_and_breaks_no_key_and_no_subnet(made: Callable[[], list[Section]]) -> None:
    lines = [click.unstyle(text) for section in made() for text in rendered(section, 80)]
    assert [text for text in lines if width_of(text) > 80] == []
    text = "\n".join(lines)
    assert all(f"  {subnet}" in text for subnet in SUBNETS)
    if made is not mesh_sections:
        assert all(re.search(rf"  {re.escape(key.text[:8])}(  |$)", text, re.MULTILINE) for key in KEYS[:4])


@pytest.mark.parametrize("made", MAKERS)
def test_columns_align_also_below_wide_characters(made: Callable[[], list[Section]]) -> None:
    tables = [section for section in made() if section.header]
    assert tables
    for section in tables:
        for width in (80, None):
            lines = [click.unstyle(text) for text in rendered(section, width)]
            starts = {width_of(text[: text.index(subnet)]) for subnet in SUBNETS for text in lines if subnet in text}
            assert starts == {lines[1].index("SUBNET")}


def run(command: click.Command, *arguments: str, columns: str = "80") -> Result:
    return CliRunner().invoke(command, arguments, env={"COLUMNS": columns})


def test_plugins_fit_with_long_names(site: Site) -> None:
    site.install("acme-ikto-plugin-of-20", "raise RuntimeError('no such device ' * 30)")
    found = run(plugins)
    assert "acme" in found.output
    assert [text for text in found.output.splitlines() if width_of(text) > 80] == []


def test_what_is_left_out_is_named_and_a_wide_terminal_or_wide_has_it() -> None:
    (section,) = peers_sections()
    assert rendered(section, 80)[-1] == "  (left out at this width: endpoint)"
    for width in (200, None):
        lines = rendered(section, width)
        assert "ENDPOINT" in lines[1]
        assert ENDPOINT in lines[2]
        assert len(lines) == 6


def test_headers_have_one_style_and_one_order() -> None:
    order = ("name", "subnet", "key", "endpoint", "state")
    for section in [section for made in MAKERS for section in made() if section.header]:
        shown = [column for column in section.header if column in order]
        assert shown == [column for column in order if column in shown]
        assert section.header[0] == "name"
        assert click.unstyle(rendered(section, None)[1]).isupper()


def test_short_keys_tell_the_keys_apart_and_only_those_that_need_it_are_longer() -> None:
    keys = ["abcdefghijk1", "abcdefghijk2", "xyzxyzxyzxyz"]
    assert short_keys(keys) == {keys[0]: keys[0], keys[1]: keys[1], keys[2]: "xyzxyzxy"}
    assert short_keys(keys, wide=True) == {key: key for key in keys}
    assert short_keys([]) == {}


def test_a_pipe_gets_every_column_and_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show([Section("x:", [line("name", "word " * 30)], ("name", "text"), optional=(("name",),))])
    assert capsys.readouterr().out.splitlines()[2].startswith("  name  word word")


def test_the_last_cell_goes_on_below_itself() -> None:
    lines = rendered(Section("", [Row(("label", "word " * 20))]), 40)
    assert len(lines) > 2
    assert all(text.startswith(" " * 7 + "word") for text in lines[1:])
