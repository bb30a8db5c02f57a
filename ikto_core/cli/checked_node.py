"""The node that `ikto doctor` and `ikto config check` look at."""

from ikto_core.admin.views import StatusView
from ikto_core.agent.from_config import local_node, nats_settings
from ikto_core.config import Config
from ikto_core.diagnosis.subject import Subject
from ikto_core.errors import IktoError
from ikto_core.plugins.loading import load_plugins


def checked_node(
    config: Config,
    *,
    status: StatusView | None = None,
    no_agent: IktoError | None = None,
    before_start: bool = False,
) -> Subject:
    """Return the node of a configuration; the arguments are those of `Subject`."""
    node = local_node(config)
    plugins = load_plugins(blocked=config.blocked_plugins, settings=config.plugins)
    nats = nats_settings(config, node.name)
    return Subject(config, node, nats, plugins, status=status, no_agent=no_agent, before_start=before_start)
