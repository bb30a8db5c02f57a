"""The admin server: HTTP and JSON on a unix socket that only the agent's user may open."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn

import structlog

from ikto_core.admin.connections import HttpServer
from ikto_core.admin.events import EventStreams
from ikto_core.admin.interface import AgentInterface
from ikto_core.admin.listener import BoundPath, bound
from ikto_core.admin.mesh_views import ReleasedView
from ikto_core.admin.requests import changes_for_owner, read_leave
from ikto_core.admin.web import Answer, HttpError, Request, Routes, get, json_answer
from ikto_core.errors import IktoError

SHUTDOWN_TIMEOUT_S = 2.0
"""How long requests that are being answered may take when the agent stops."""

KEEP_PATH_EVERY_S = 2.0
"""How often the agent looks whether the socket's file is there. A look takes microseconds."""

LONGEST_TARGET = 300
"""Characters of what `why` is asked for."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def serve(agent: AgentInterface, path: Path, fallback: Path | None = None) -> AsyncIterator["AdminServer"]:
    """Answer requests on the unix socket `path` while the context lasts; on `fallback` if another user has the path.

    Run the `keep_path` of what it yields. Raises IktoError if the socket can't be opened; see `listener.bound`.
    """
    events = EventStreams(agent.journal)
    http = HttpServer(_routes(agent, events), changes_for_owner, shutdown_timeout_s=SHUTDOWN_TIMEOUT_S)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(http.close)
        stack.callback(events.close)
        server = AdminServer(http, path, fallback)
        stack.push_async_callback(server.close)
        await server.listen()
        yield server


class AdminServer:
    """Listens on a path, and listens again if the file there is gone: a cleaner of /tmp, or a person, removed it."""

    def __init__(self, http: HttpServer, path: Path, fallback: Path | None) -> None:
        self._http = http
        self._paths = path, fallback
        self._listening = AsyncExitStack()
        self._served: BoundPath | None = None

    async def listen(self) -> None:
        """Listen; what listened before is closed first, its connections go on. Raises as `serve`."""
        await self.close()
        async with AsyncExitStack() as stack:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
            self._served = stack.enter_context(bound(listener, *self._paths))
            await stack.enter_async_context(self._http.accepting(listener))
            self._listening = stack.pop_all()

    async def keep_path(self) -> NoReturn:
        """Listen again within KEEP_PATH_EVERY_S of the removal of the socket's file, until cancelled."""
        failure = ""
        while True:
            await asyncio.sleep(KEEP_PATH_EVERY_S)
            if self._served and self._served.is_there():
                continue
            try:
                await self.listen()
                log.warning("socket file was removed, listening again", socket=str(self._served and self._served.path))
                failure = ""
            except IktoError as error:
                if str(error) != failure:  # once, not at every look
                    failure = str(error)
                    log.error("socket file was removed, can't listen again", error=failure, hint=error.hint)

    async def close(self) -> None:
        """Listen no more."""
        self._served = None
        await self._listening.aclose()


def _routes(agent: AgentInterface, events: EventStreams) -> Routes:
    handlers = _Handlers(agent)
    return {
        "/v1/info": get(handlers.info),
        "/v1/progress": get(handlers.progress),
        "/v1/status": get(handlers.status),
        "/v1/peers": get(handlers.peers),
        "/v1/events": {"GET": events.serve},
        "/v1/why": get(handlers.why),
        "/v1/config": get(handlers.config),
        "/v1/diff": get(handlers.diff),
        "/v1/peers/release": {"POST": handlers.release},
        "/v1/resync": {"POST": handlers.resync},
        "/v1/rotate-key": {"POST": handlers.rotate_key},
        "/v1/leave": {**get(handlers.leaving), "POST": handlers.leave},
        "/v1/down": {"POST": handlers.down},
        "/healthz": get(handlers.healthz),
        "/readyz": get(handlers.readyz),
        "/metrics": get(partial(metrics_answer, agent)),
    }


class _Handlers:
    """The request handlers, one per path."""

    def __init__(self, agent: AgentInterface) -> None:
        self._agent = agent

    async def info(self, _: Request) -> Answer:
        return json_answer(self._agent.info())

    async def progress(self, _: Request) -> Answer:
        return json_answer(self._agent.progress())

    async def status(self, _: Request) -> Answer:
        return json_answer(await self._agent.status())

    async def peers(self, _: Request) -> Answer:
        return json_answer(await self._agent.peers())

    async def why(self, request: Request) -> Answer:
        """Answer `?target=TEXT`; with `&probe=no` without sending packets."""
        target = request.query.get("target", "")
        if not target.strip() or len(target) > LONGEST_TARGET:
            raise HttpError(400, f"target: a name, key, subnet or address of 1 to {LONGEST_TARGET} characters")
        return json_answer(await self._agent.why(target, probe=request.query.get("probe") != "no"))

    async def config(self, _: Request) -> Answer:
        return json_answer(self._agent.settings())

    async def diff(self, _: Request) -> Answer:
        return json_answer(await self._agent.diff())

    async def release(self, _: Request) -> Answer:
        """Request it; 202, because the removals are applied later."""
        return json_answer(ReleasedView(released=self._agent.release_removals()), status=202)

    async def resync(self, _: Request) -> Answer:
        """Request it; 202, because it is done later."""
        self._agent.resync()
        return json_answer({}, status=202)

    async def rotate_key(self, _: Request) -> Answer:
        """Start a rotation unless one is under way; 202, because peers get time to learn the next key."""
        return json_answer(self._agent.rotate_key(), status=202)

    async def leaving(self, _: Request) -> Answer:
        return json_answer(self._agent.departure.view())

    async def leave(self, request: Request) -> Answer:
        """Begin to leave the mesh, with `drain_s` and `forget` in the query; 202, because it takes a while."""
        drain_s, forget = read_leave(request.query)
        return json_answer(self._agent.departure.begin(withdraw=True, drain_s=drain_s, forget=forget), status=202)

    async def down(self, _: Request) -> Answer:
        """Begin to remove the device and to end; 202, because it takes a while."""
        return json_answer(self._agent.departure.begin(withdraw=False), status=202)

    async def healthz(self, _: Request) -> Answer:
        """Answer 200: an answer shows that the agent's event loop is running."""
        return Answer(b"ok\n")

    async def readyz(self, _: Request) -> Answer:
        """Answer 200 if the device shows the mesh, otherwise 503; the body is the agent's state."""
        return Answer(f"{self._agent.state.value}\n".encode(), status=200 if self._agent.ready else 503)


async def metrics_answer(agent: AgentInterface, _: Request) -> Answer:
    """Answer with the metrics."""
    from ikto_core.admin.metrics import CONTENT_TYPE, render  # noqa: PLC0415 - memory: not every agent is scraped

    return Answer(render(await agent.status(), peers_limit=agent.metrics_peers), kind=CONTENT_TYPE)
