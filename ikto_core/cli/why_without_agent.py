"""What `ikto why` says if no agent answers."""

import asyncio
import os
import time
from pathlib import Path

from msgspec.structs import replace

from ikto_core.admin.why_views import Diagnosis
from ikto_core.agent.inquiry_without_agent import InquiryWithoutAgent
from ikto_core.config import load_config
from ikto_core.diagnosis.chain import diagnose
from ikto_core.diagnosis.facts import (
    AgentFacts,
    ClaimFacts,
    ClaimStatus,
    DeviceFacts,
    Facts,
    NatsFacts,
    RecordFacts,
    RecordStatus,
)
from ikto_core.disk.key_file import load_private_key
from ikto_core.errors import IktoError

WITHOUT_CONFIG = "start it, give its socket with -s, or the node's configuration with -c FILE"
NOT_LOOKED = "not looked at: give the node's configuration with -c FILE"


def why_without_agent(target: str, no_agent: IktoError, config_path: Path | None, *, probe: bool) -> Diagnosis:
    """Return what can be said without an agent. Raises ConfigError if the configuration or the key can't be used."""
    agent = AgentFacts(running=False, detail=str(no_agent))
    if config_path is None:
        return diagnose(
            Facts(
                target=target,
                now=time.time(),
                agent=replace(agent, remedy=WITHOUT_CONFIG),
                nats=NatsFacts(read=False, detail=NOT_LOOKED),
                record=RecordFacts(status=RecordStatus.ABSENT),
                claim=ClaimFacts(status=ClaimStatus.UNKNOWN, reason=NOT_LOOKED),
                device=DeviceFacts(exists=None),
            )
        )
    config = load_config(config_path, environ=os.environ, overrides={})
    inquiry = InquiryWithoutAgent(config, load_private_key(Path(config.private_key_path)).public())
    return asyncio.run(inquiry.why(target, agent, probe=probe))
