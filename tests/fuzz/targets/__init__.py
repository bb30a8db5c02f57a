"""The targets: everything that Ikto reads from other nodes, servers, programs, the kernel, and files."""

from tests.fuzz.target import Target
from tests.fuzz.targets import config, device, disk, fleet, http, mesh, nats

TARGETS: tuple[Target, ...] = (
    *mesh.TARGETS,
    *nats.TARGETS,
    *fleet.TARGETS,
    *config.TARGETS,
    *device.TARGETS,
    *http.TARGETS,
    *disk.TARGETS,
)
