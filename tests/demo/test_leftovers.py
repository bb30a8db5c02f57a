"""What a killed demo left is found by name and removed."""

from pathlib import Path

import pytest

from ikto_core.demo import leftovers


def test_only_the_sockets_of_the_given_process_are_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A wireguard-go that is stopped early leaves its socket: it creates it before it handles signals."""
    monkeypatch.setattr(leftovers, "SOCKETS", tmp_path)
    names = {"ik12x1.sock", "ik12x34.sock", "ik1x2.sock", "ik123x1.sock", "wg0.sock"}
    for name in names:
        (tmp_path / name).touch()
    leftovers.remove_sockets(12)
    assert {path.name for path in tmp_path.iterdir()} == names - {"ik12x1.sock", "ik12x34.sock"}
