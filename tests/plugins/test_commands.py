"""Plugin commands: each plugin adds to its own group, and can't use the name of a built-in command."""

import pytest

from ikto_core.errors import PluginError
from ikto_core.plugins import Plugins, load_plugins
from ikto_core.plugins.reserved_commands import COMMANDS
from tests.plugin_site import Site

TOP = """
@hookimpl
def ikto_register_commands(cli):
    @cli.command()
    def top():
        "Show the busiest peers."
"""


def rows_of(plugins: Plugins, distribution: str) -> dict[str, tuple[str, str]]:
    rows = [row for row in plugins.listing() if row.distribution == distribution]
    assert {row.kind for row in rows} == {"command"}
    return {row.name: (row.status, row.reason) for row in rows}


def test_a_command_is_available_with_its_help_line(site: Site) -> None:
    site.install("acme-ikto", TOP)
    plugins = load_plugins()
    assert rows_of(plugins, "acme-ikto") == {"top": ("ok", "")}
    assert plugins.command("top").summary == "Show the busiest peers."
    assert [offer.record.name for offer in plugins.commands.usable()] == ["top"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_built_in_name_is_rejected_and_the_other_commands_stay(site: Site, name: str) -> None:
    site.install("acme-ikto", f"{TOP}\n    cli.add_command(click.Command('{name}'))")
    rows = rows_of(load_plugins(), "acme-ikto")
    assert rows["top"] == ("ok", "")
    assert rows[name] == ("failed", f"ikto_register_commands added {name!r}, which is the name of a built-in command")


@pytest.mark.parametrize(
    ("line", "name", "reason"),
    [
        ("cli.add_command(click.Command('--evil'))", "--evil", "added the name '--evil', which is not lower case"),
        ("cli.commands['x'] = print", "x", "added 'x', a builtin_function_or_method, not a click.Command"),
        ("1 / 0", "acme-ikto", "ikto_register_commands raised ZeroDivisionError"),
        ("cli.commands = 7", "acme-ikto", "ikto_register_commands raised TypeError"),
    ],
)
def test_an_invalid_command_is_reported(site: Site, line: str, name: str, reason: str) -> None:
    site.install("acme-ikto", f"@hookimpl\ndef ikto_register_commands(cli):\n    {line}")
    status, why = rows_of(load_plugins(), "acme-ikto")[name]
    assert status == "failed"
    assert reason in why


def test_a_hook_takes_the_arguments_that_it_names_which_may_be_none(site: Site) -> None:
    without = "@hookimpl(specname='ikto_register_commands')\ndef without(): print('was called')"
    site.install("acme-ikto", f"{TOP}\n{without}")
    assert rows_of(load_plugins(), "acme-ikto") == {"top": ("ok", "")}


def test_two_commands_with_one_name_are_a_conflict(site: Site) -> None:
    site.install("acme-ikto", TOP)
    site.install("other-ikto", TOP)
    plugins = load_plugins()
    assert rows_of(plugins, "other-ikto")["top"][0] == "conflict"
    assert not list(plugins.commands.usable())
    with pytest.raises(PluginError, match=r"command 'top': .*acme-ikto 1\.5 .*other-ikto 1\.5"):
        plugins.command("top")


def test_a_plugin_can_not_change_the_commands_of_another(site: Site) -> None:
    site.install("acme-ikto", TOP)
    site.install("other-ikto", "@hookimpl\ndef ikto_register_commands(cli): cli.commands.clear()")
    assert load_plugins().command("top").name == "top"


def test_a_command_can_be_blocked(site: Site) -> None:
    site.install("acme-ikto", TOP)
    with pytest.raises(PluginError, match=r"command 'top' of acme-ikto .* is blocked"):
        load_plugins(blocked=["top"]).command("top")
