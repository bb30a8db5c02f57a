"""All checks, in the order in which `ikto doctor` shows them."""

from collections.abc import Sequence

from ikto_core.diagnosis.checks import Check
from ikto_core.diagnosis.checks_bucket import BUCKET_CHECKS
from ikto_core.diagnosis.checks_claim import CLAIM_CHECKS
from ikto_core.diagnosis.checks_config import CONFIG_CHECKS
from ikto_core.diagnosis.checks_device import DEVICE_CHECKS
from ikto_core.diagnosis.checks_host import HOST_CHECKS
from ikto_core.diagnosis.checks_nats import NATS_CHECKS
from ikto_core.diagnosis.checks_peers import PEER_CHECKS
from ikto_core.diagnosis.checks_plugins import PLUGIN_CHECKS, added_checks
from ikto_core.diagnosis.checks_underlay import UNDERLAY_CHECKS
from ikto_core.diagnosis.subject import Subject

BUILT_IN: Sequence[Check] = (
    *CONFIG_CHECKS,
    *HOST_CHECKS,
    *DEVICE_CHECKS,
    *UNDERLAY_CHECKS,
    *NATS_CHECKS,
    *BUCKET_CHECKS,
    *CLAIM_CHECKS,
    *PEER_CHECKS,
    *PLUGIN_CHECKS,
)
"""Ikto's own checks."""


def all_checks(subject: Subject) -> Sequence[Check]:
    """Return Ikto's own checks, and those that the installed plugins add."""
    return (*BUILT_IN, *added_checks(subject))
