"""How a command reaches the bucket without an agent: its options, its configuration, and the session with NATS."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import SystemRandom
from typing import TypeVar

import msgspec

from ikto_core.agent.from_config import nats_settings
from ikto_core.cli.options import given_settings, optional_config, setting_options
from ikto_core.cli.progress import progress
from ikto_core.config import Config, load_config
from ikto_core.store.bucket import Bucket
from ikto_core.store.connection import open_session
from ikto_core.store.inbox import DEFAULT_INBOX

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., object])

NATS_SETTINGS = (
    "nats_url",
    "nats_kv",
    "nats_domain",
    "nats_api_prefix",
    "nats_creds",
    "nats_user",
    "nats_password",
    "nats_token",
    "nats_nkey_seed",
    "nats_tls_first",
    "nats_tls_ca",
    "nats_tls_cert",
    "nats_tls_key",
)
"""The settings that say where the bucket is and how to log in."""


def connection_options(command: Command) -> Command:
    """Give a command `-c FILE` and the options in NATS_SETTINGS."""
    with_settings = setting_options(*NATS_SETTINGS)(command)
    return optional_config("Configuration file for the settings not given as options.")(with_settings)


def bucket_config(path: Path | None, settings: dict[str, str | None]) -> Config:
    """Return the configuration of a command that needs no private address."""
    overrides = {"private_address": "auto"} | given_settings(settings)  # required, but not used here
    return load_config(path, environ=os.environ, overrides=overrides)


def reading_bucket(config: Config, use: Callable[[Bucket], Awaitable[T]]) -> T:
    """Connect, and return the result of `use`, which prints nothing; a terminal shows that it goes on."""
    with progress(f"reading the bucket {config.nats_kv}"):
        return with_bucket(config, use)


def with_bucket(config: Config, use: Callable[[Bucket], Awaitable[T]]) -> T:
    """Connect, and return the result of `use`."""

    async def connected() -> T:
        settings = msgspec.structs.replace(nats_settings(config, "bucket"), inbox=DEFAULT_INBOX)
        async with open_session(settings, SystemRandom()) as session:
            return await use(Bucket(session, config.nats_kv))

    return asyncio.run(connected())
