"""What every fault's test uses: servers of its own, a mesh to harm, and a stopwatch whose figures make the table."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ikto_core.lab.nats_cluster import NatsCluster, running_cluster
from ikto_core.lab.nats_proxy import NatsProxy
from ikto_core.lab.nats_server import NatsServer
from tests.agent_mesh import eventually
from tests.faults.figures import Figure, keep
from tests.faults.harness import FaultMesh


class Stopwatch:
    """Measures how long the mesh takes to be whole again."""

    def __init__(self) -> None:
        self.seconds: float | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure what the block takes."""
        began = time.monotonic()
        yield
        self.seconds = time.monotonic() - began


@pytest.fixture
def converging(request: pytest.FixtureRequest) -> Iterator[Stopwatch]:
    """A stopwatch; what it measured is kept for the table."""
    stopwatch = Stopwatch()
    yield stopwatch
    marker = request.node.get_closest_marker("fault")
    if marker and stopwatch.seconds is not None:
        parameters = getattr(request.node, "callspec", None)
        fault = marker.args[0].format(**parameters.params if parameters else {})
        promise = (request.function.__doc__ or "").strip().splitlines()[0]
        keep(request.node.nodeid, Figure(fault, promise, stopwatch.seconds))


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with a short name: a unix socket's path has 107 bytes at most."""
    made = Path(tempfile.mkdtemp(prefix="ikto-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def stack(directory: Path) -> Iterator[ExitStack]:  # noqa: ARG001 - agents end before their directory does
    """Ends what the test starts, whatever happens."""
    with ExitStack() as made:
        yield made


@pytest.fixture
def server(directory: Path) -> Iterator[NatsServer]:
    """A nats-server that the test may harm."""
    made = NatsServer(directory / "nats")
    try:
        yield made.start()
    finally:
        made.kill()


@pytest.fixture
def mesh(server: NatsServer, directory: Path, stack: ExitStack) -> FaultMesh:
    """A mesh without agents yet, on a server of its own."""
    made = FaultMesh(server, directory, stack)
    made.create_bucket()
    return made


@pytest.fixture
def proxy(server: NatsServer) -> Iterator[NatsProxy]:
    """A network between an agent and the server."""
    with NatsProxy(server.url) as made:
        yield made


@pytest.fixture
def cluster(directory: Path) -> Iterator[NatsCluster]:
    """Three servers that the test may harm."""
    quick_good_bye = 'lame_duck_duration: "30s"\nlame_duck_grace_period: "1s"'  # the least it allows
    with running_cluster(directory / "nats", config=quick_good_bye) as made:
        yield made


@pytest.fixture
def clustered(cluster: NatsCluster, directory: Path, stack: ExitStack) -> FaultMesh:
    """A mesh without agents yet, whose bucket three servers keep."""
    made = FaultMesh(next(iter(cluster.servers.values())), directory, stack, url=cluster.url, replicas=3)
    eventually(lambda: (made.create_bucket(),))  # once leaders are elected
    return made
