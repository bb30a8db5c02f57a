"""Causes the faults of a plan, and ends all of them again."""

import shutil
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from signal import Signals

import msgspec

from ikto_backends.fake import state_file
from ikto_core.disk.state_file import StateFile
from ikto_core.errors import AddressInUseError, IktoError, NatsError
from ikto_core.lab.agent_process import AgentProcess
from ikto_core.lab.nats_proxy import Frame, NatsProxy
from ikto_core.lab.nats_server import NatsServer
from ikto_core.mesh.records import encode_record, record_key
from ikto_core.store.bucket import Bucket
from tests.faults.harness import IFNAME, FaultMesh, stranger, subnet
from tests.faults.logins import ADMIN, AGENT, DENIED, users
from tests.faults.plan import Kind, Step
from tests.faults.watch import Watch
from tests.raw_nats import READER_KILLERS, publish_raw

LONGEST_JUMP_S = 400 * 86_400
HARM = {
    Kind.AGENT_KILLED,
    Kind.AGENT_STOPPED,
    Kind.AGENT_FROZEN,
    Kind.REBOOTED,
    Kind.CLOCK_JUMPED,
    Kind.PARTITIONED,
    Kind.CUT,
    Kind.PUSHES_DROPPED,
}
"""What is done to one agent, and ends (but for the clock)."""


class Chaos:
    """A mesh in which anything may go wrong at any moment."""

    def __init__(self, mesh: FaultMesh, server: NatsServer, directory: Path, stack: ExitStack, random: Random) -> None:
        self.mesh = mesh
        self.server = server
        self.watch = Watch(lambda: list(mesh.agents))
        self._directory = directory
        self._backup = directory / "backup"
        self._stack = stack
        self._random = random
        self._proxies: dict[AgentProcess, NatsProxy] = {}
        self._clocks: dict[AgentProcess, Path] = {}  # how far each is off, in seconds
        self._harmed: dict[Step, AgentProcess] = {}
        self._killed: set[AgentProcess] = set()  # by us
        self._strangers: list[str] = []  # their keys in the bucket
        self._reachable = True  # the server, for our own writes

    def add(self, like: AgentProcess | None = None, private_address: str = "auto") -> AgentProcess:
        """Start a node with a network of its own; `like`: with the private key of that one."""
        proxy = self._stack.enter_context(NatsProxy(self.server.url))
        key = like.private_key if like else None
        clock = self._directory / f"clock-{len(self._proxies)}"
        clock.write_text("0")
        program = ("tests.faults.shifted_clock", str(clock))
        members = AGENT | {"nats_url": proxy.url, "private_address": private_address}
        agent = self.mesh.agent(key=key, program=program, **members)
        self._proxies[agent] = proxy
        self._clocks[agent] = clock
        return agent

    # -- a round ---------------------------------------------------------------------------------------------------

    def carry_out(self, steps: list[Step]) -> None:
        """Let these things go wrong; when this returns, all that can be healed is."""
        self._keep_backup()
        self.watch.protected = {record.public_key for record in self.mesh.records()}
        self.watch.in_trouble = True
        began = time.monotonic()
        due = [(step.at_s, self._begin, step) for step in steps]
        due += [(step.at_s + step.lasts_s, self._end, step) for step in steps]
        for at_s, act, step in sorted(due, key=lambda one: one[0]):
            time.sleep(max(0, began + at_s - time.monotonic()))
            act(step)
        self._heal()
        self.watch.in_trouble = False

    def _heal(self) -> None:
        self._start_server()
        self._grant(users())
        for agent in self.mesh.agents:
            agent.send(Signals.SIGCONT)
            self._pass_on(agent)
        for agent in self._killed:
            agent.start()
        self._killed.clear()

    def bury(self) -> None:
        """Forget the agents that ended as they must: they lost their address, or NATS before they ever had one."""
        for agent in [agent for agent in self.mesh.agents if not agent.running]:
            code = agent.wait()
            unclaimed = StateFile(agent.directory / "state").load().claim is None
            expected = code == AddressInUseError.exit_code or (code == NatsError.exit_code and unclaimed)
            assert expected, f"{agent.name} ended with {code}: {agent.log_text()[-2000:]}"
            self.mesh.agents.remove(agent)

    # -- what goes wrong -------------------------------------------------------------------------------------------

    def _begin(self, step: Step) -> None:
        agents = self.mesh.running()
        if not agents:
            return
        agent = agents[step.who % len(agents)]
        if step.kind is Kind.SERVER_KILLED:
            self._reachable = False
            self.server.kill()
        elif step.kind is Kind.SERVER_FROZEN:
            self._reachable = False
            self.server.send(Signals.SIGSTOP)
        elif step.kind is Kind.REVOKED:
            self._grant(users(DENIED))
        elif step.kind in HARM:
            self._harmed[step] = agent
            self._harm(step.kind, agent)
        elif self._reachable:  # else nobody can reach the bucket, nor can we
            with suppress(IktoError, OSError):
                self._touch_bucket(step.kind, agent)

    def _harm(self, kind: Kind, agent: AgentProcess) -> None:
        match kind:
            case Kind.AGENT_KILLED:
                self._killed.add(agent)
                agent.kill()
            case Kind.REBOOTED:
                self._killed.add(agent)
                agent.kill()
                state_file(agent.directory / "state", IFNAME).unlink(missing_ok=True)
            case Kind.CLOCK_JUMPED:
                self._clocks[agent].write_text(str(self._random.uniform(-LONGEST_JUMP_S, LONGEST_JUMP_S)))
            case Kind.AGENT_STOPPED:
                self._killed.add(agent)
                agent.send(Signals.SIGCONT)
                agent.stop()
            case Kind.AGENT_FROZEN:
                agent.send(Signals.SIGSTOP)
            case Kind.PARTITIONED:
                self._proxies[agent].freeze()
            case Kind.CUT:
                self._proxies[agent].cut()
            case _:
                self._proxies[agent].admit = self._admit_few

    def _end(self, step: Step) -> None:
        if step.kind in {Kind.SERVER_KILLED, Kind.SERVER_FROZEN}:
            self._start_server()
        elif step.kind is Kind.REVOKED:
            self._grant(users())
        elif agent := self._harmed.pop(step, None):
            agent.send(Signals.SIGCONT)
            self._pass_on(agent)
            if agent in self._killed:
                self._killed.remove(agent)
                agent.start()

    def _pass_on(self, agent: AgentProcess) -> None:
        self._proxies[agent].admit = lambda _: True
        self._proxies[agent].heal()

    def _admit_few(self, frame: Frame) -> bool:
        return not frame.subject.startswith(b"ikto.") or self._random.random() > 0.3

    def _grant(self, config: str) -> None:
        """Have the server know its users by this configuration; a dead one will when it starts."""
        self.server.config = config
        self.server.reload()

    def _start_server(self) -> None:
        self.server.send(Signals.SIGCONT)
        if not self.server.pid:
            self.server.start()
        self._reachable = True

    # -- what somebody does to the bucket --------------------------------------------------------------------------

    def _touch_bucket(self, kind: Kind, agent: AgentProcess) -> None:
        if kind is Kind.JUNK:
            subject = f"ikto.{self.mesh.name}".encode()
            junk = b"".join(operation % subject for operation in READER_KILLERS.values())
            publish_raw(self.server, junk, {"user": ADMIN["nats_user"], "pass": ADMIN["nats_password"]})
        elif kind is Kind.STRANGER_ADDED:
            self._strangers.append(self.mesh.add_stranger())
        elif kind is Kind.WIPED:
            self.watch.protected.clear()
            self.mesh.on_bucket(_delete)
            self.mesh.create_bucket()
        elif kind is Kind.RESTORED:
            self._restore()
        elif kind is Kind.STRANGER_DELETED:
            self._delete_stranger()
        elif own := subnet(agent):
            self._touch_own(kind, agent, str(own))

    def _touch_own(self, kind: Kind, agent: AgentProcess, own: str) -> None:
        """Do something about an agent's own record and subnet."""
        if kind is Kind.DUPLICATE:
            self.add(private_address=own.partition("/")[0])
            return
        self.watch.protected.discard(agent.public_key)
        if kind is Kind.RECORD_DELETED:
            self.mesh.write(record_key(own), None)
        elif kind is Kind.CLONED:
            self.add(like=agent)
        else:
            taken = msgspec.structs.replace(stranger(own), name="thief")
            self._strangers.append(taken.key)
            self.mesh.write(taken.key, encode_record(taken))

    def _delete_stranger(self) -> None:
        if self._strangers:
            self.watch.protected.clear()
            self.mesh.write(self._strangers.pop(), None)

    def _keep_backup(self) -> None:
        self.server.send(Signals.SIGSTOP)
        shutil.rmtree(self._backup, ignore_errors=True)
        shutil.copytree(self.server.directory / "jetstream", self._backup)
        self.server.send(Signals.SIGCONT)

    def _restore(self) -> None:
        self.watch.protected.clear()
        self.server.kill()
        shutil.rmtree(self.server.directory / "jetstream")
        shutil.copytree(self._backup, self.server.directory / "jetstream")
        self.server.start()


async def _delete(bucket: Bucket) -> None:
    await bucket.call("STREAM.DELETE", {})
