"""The admin server: HTTP and JSON on a unix socket that only the agent's user may open."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NoReturn

import msgspec
import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from ikto_core.admin.connections import accepting
from ikto_core.admin.events import EventStreams
from ikto_core.admin.interface import AgentInterface
from ikto_core.admin.listener import BoundPath, bound
from ikto_core.admin.mesh_views import ReleasedView
from ikto_core.admin.metrics import render
from ikto_core.admin.requests import Handler, changes_for_owner, read_leave
from ikto_core.admin.views import ErrorView
from ikto_core.errors import IktoError, described

SHUTDOWN_TIMEOUT_S = 2.0
"""How long requests that are being answered may take when the agent stops."""

KEEP_PATH_EVERY_S = 2.0
"""How often the agent looks whether the socket's file is there. A look takes microseconds."""

LINGERING_S = 0.0
"""How long the rest of a body may take after the answer. aiohttp waits even for a client that is gone."""

LONGEST_TARGET = 300
"""Characters of what `why` is asked for."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def serve(agent: AgentInterface, path: Path, fallback: Path | None = None) -> AsyncIterator["AdminServer"]:
    """Answer requests on the unix socket `path` while the context lasts; on `fallback` if another user has the path.

    Run the `keep_path` of what it yields. Raises IktoError if the socket can't be opened; see `listener.bound`.
    """
    application = _application(agent)
    runner = web.AppRunner(
        application,
        access_log=None,
        logger=_OneLineLog(),
        lingering_time=LINGERING_S,
        shutdown_timeout=SHUTDOWN_TIMEOUT_S,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        server = AdminServer(runner, path, fallback)
        stack.push_async_callback(server.close)
        await server.listen()
        yield server


class AdminServer:
    """Listens on a path, and listens again if the file there is gone: a cleaner of /tmp, or a person, removed it."""

    def __init__(self, runner: web.AppRunner, path: Path, fallback: Path | None) -> None:
        self._runner = runner
        self._paths = path, fallback
        self._listening = AsyncExitStack()
        self._served: BoundPath | None = None

    async def listen(self) -> None:
        """Listen; what listened before is closed first, its connections go on. Raises as `serve`."""
        await self.close()
        async with AsyncExitStack() as stack:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
            self._served = stack.enter_context(bound(listener, *self._paths))
            await stack.enter_async_context(accepting(self._runner, listener))
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


class _OneLineLog:
    """The log of aiohttp, which would write a traceback for most requests that it can't read."""

    def debug(self, text: str, *args: object, exc_info: BaseException | None = None) -> None:
        """Log nothing: it is about clients that are gone."""

    def warning(self, text: str, *args: object) -> None:
        """Log one line."""
        log.warning("admin request refused", error=(text % args)[:300])

    def exception(self, text: str, *args: object, exc_info: BaseException | None = None) -> None:
        """Log one line, with the error if there is one."""
        log.warning("admin request refused", error=(described(exc_info) if exc_info else text % args)[:300])


def _application(agent: AgentInterface) -> web.Application:
    handlers = _Handlers(agent)
    application = web.Application(middlewares=[_errors_as_json, changes_for_owner])
    events = EventStreams(agent.journal)
    application.on_shutdown.append(events.close)
    application.add_routes(
        [
            web.get("/v1/info", handlers.info),
            web.get("/v1/progress", handlers.progress),
            web.get("/v1/status", handlers.status),
            web.get("/v1/peers", handlers.peers),
            web.get("/v1/events", events.serve, allow_head=False),
            web.get("/v1/why", handlers.why),
            web.get("/v1/config", handlers.config),
            web.get("/v1/diff", handlers.diff),
            web.post("/v1/peers/release", handlers.release),
            web.post("/v1/resync", handlers.resync),
            web.post("/v1/rotate-key", handlers.rotate_key),
            web.get("/v1/leave", handlers.leaving),
            web.post("/v1/leave", handlers.leave),
            web.post("/v1/down", handlers.down),
            web.get("/healthz", handlers.healthz),
            web.get("/readyz", handlers.readyz),
            web.get("/metrics", handlers.metrics),
        ]
    )
    return application


class _Handlers:
    """The request handlers, one per path."""

    def __init__(self, agent: AgentInterface) -> None:
        self._agent = agent

    async def info(self, _: web.Request) -> web.Response:
        return _json(self._agent.info())

    async def progress(self, _: web.Request) -> web.Response:
        return _json(self._agent.progress())

    async def status(self, _: web.Request) -> web.Response:
        return _json(await self._agent.status())

    async def peers(self, _: web.Request) -> web.Response:
        return _json(await self._agent.peers())

    async def why(self, request: web.Request) -> web.Response:
        """Answer `?target=TEXT`; with `&probe=no` without sending packets."""
        target = request.query.get("target", "")
        if not target.strip() or len(target) > LONGEST_TARGET:
            raise web.HTTPBadRequest(
                reason=f"target: a name, key, subnet or address of 1 to {LONGEST_TARGET} characters"
            )
        return _json(await self._agent.why(target, probe=request.query.get("probe") != "no"))

    async def config(self, _: web.Request) -> web.Response:
        return _json(self._agent.settings())

    async def diff(self, _: web.Request) -> web.Response:
        return _json(await self._agent.diff())

    async def release(self, _: web.Request) -> web.Response:
        """Request it; 202, because the removals are applied later."""
        return _json(ReleasedView(released=self._agent.release_removals()), status=202)

    async def resync(self, _: web.Request) -> web.Response:
        """Request it; 202, because it is done later."""
        self._agent.resync()
        return _json({}, status=202)

    async def rotate_key(self, _: web.Request) -> web.Response:
        """Start a rotation unless one is under way; 202, because peers get time to learn the next key."""
        return _json(self._agent.rotate_key(), status=202)

    async def leaving(self, _: web.Request) -> web.Response:
        return _json(self._agent.departure.view())

    async def leave(self, request: web.Request) -> web.Response:
        """Begin to leave the mesh, with `drain_s` and `forget` in the query; 202, because it takes a while."""
        drain_s, forget = read_leave(request.query)
        return _json(self._agent.departure.begin(withdraw=True, drain_s=drain_s, forget=forget), status=202)

    async def down(self, _: web.Request) -> web.Response:
        """Begin to remove the device and to end; 202, because it takes a while."""
        return _json(self._agent.departure.begin(withdraw=False), status=202)

    async def healthz(self, _: web.Request) -> web.Response:
        """Answer 200: an answer shows that the agent's event loop is running."""
        return web.Response(text="ok\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """Answer 200 if the device shows the mesh, otherwise 503; the body is the agent's state."""
        return web.Response(text=f"{self._agent.state.value}\n", status=200 if self._agent.ready else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        return await metrics_answer(self._agent, request)


async def metrics_answer(agent: AgentInterface, _: web.Request) -> web.Response:
    """Answer with the metrics."""
    text = render(await agent.status(), peers_limit=agent.metrics_peers)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error as JSON. A failing request affects neither the agent nor other requests."""
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{request.path} allows {allowed}, not {request.method}"
        return _json(ErrorView(error=message), status=error.status, headers={"Allow": allowed})
    except web.HTTPNotFound as error:
        return _json(ErrorView(error=f"there is no path {request.path}"), status=error.status)
    except web.HTTPException as error:
        return _json(ErrorView(error=error.reason), status=error.status)
    except IktoError as error:
        return _json(ErrorView(error=str(error), hint=error.hint), status=409)
    except Exception as error:
        log.exception("admin request failed", path=request.path)
        return _json(ErrorView(error=f"internal error: {type(error).__name__}: {error}"), status=500)


def _json(value: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    body = msgspec.json.encode(value) + b"\n"
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")
