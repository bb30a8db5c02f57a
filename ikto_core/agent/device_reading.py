"""Reads the device for people: an answer within seconds, also from a backend that hangs."""

import asyncio

from ikto_core.device.bounded_backend import STUCK_HINT, BoundedBackend
from ikto_core.device.model import DeviceState
from ikto_core.errors import BackendError

READ_TIMEOUT_S = 3.0
"""A backend that takes longer is reported as failed, so that the client still gets an answer (5 s, see client.py)."""


async def read_device(backend: BoundedBackend, ifname: str) -> tuple[DeviceState | None, BackendError | None]:
    """Return the device, and why it can't be read."""
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            return await backend.read(ifname), None
    except BackendError as error:
        return None, error
    except TimeoutError:
        text = f"the backend did not read {ifname} within {READ_TIMEOUT_S:g} s"
        return None, BackendError(text, hint=STUCK_HINT)
