"""Ikto finds the backend; what the backend does not support is an error."""

from pathlib import Path

import pytest

from ikto_backend_uapi import open_uapi
from ikto_core.plugins import (
    BackendContext,
    BackendError,
    load_plugins,
)


def test_it_is_found_by_its_name() -> None:
    assert load_plugins().backend("uapi").name == "uapi"


async def test_another_namespace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="blue"):
        async with open_uapi(BackendContext(ifname="wg0", state_dir=tmp_path, netns="blue")):
            pass


async def test_a_missing_program_is_an_error_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    async with open_uapi(BackendContext(ifname="ikto-absent0", state_dir=tmp_path)) as backend:
        with pytest.raises(BackendError, match="'ip' is not installed") as caught:
            await backend.create("ikto-absent0")
    assert "iproute2" in caught.value.hint
