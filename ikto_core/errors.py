"""Exception classes. A class exists only if some caller handles it differently from its base."""

from collections.abc import Iterator


class IktoError(Exception):
    """An error for the operator: a one-line message and a hint. The base of all of Ikto's errors.

    Args:
        message: What is wrong, and where.
        hint: What to do about it; may be empty.

    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NoAgentError(IktoError):
    """No agent listens on the socket."""


class AgentDeniedError(IktoError):
    """This user may not connect to the agent's socket. Waiting does not help."""


class ConfigError(IktoError):
    """The configuration, or a file that it names, can't be used. `problems` lists every problem found."""

    exit_code = 3

    def __init__(self, message: str, *, hint: str = "", problems: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.problems = problems


class NotEntitledError(ConfigError):
    """The node's NATS credentials do not give it the right to its record, which `record_trust` requires."""

    exit_code = 8


class AddressInUseError(IktoError):
    """Another node holds this node's subnet. Ikto never overwrites that node's record."""

    exit_code = 4


class NatsError(IktoError):
    """NATS is unreachable, or a request to it failed. The request can be retried later."""

    exit_code = 5


class NatsDeniedError(NatsError):
    """NATS denied access: wrong credentials or a missing permission. Retrying at once doesn't help."""


class BucketMissingError(NatsError):
    """The NATS server answered, and has no such bucket."""


class RevisionConflictError(NatsError):
    """The key has another revision than the write expected: another client wrote first. Nothing was written."""


class WriteUnknownError(NatsError):
    """No answer to a write arrived, so it may or may not have happened. Read the key before doing anything else."""


class BackendError(IktoError):
    """A WireGuard backend failed to carry out a call."""

    exit_code = 6


class NoSuchDeviceError(BackendError):
    """The device does not exist, or no longer exists."""


class ForeignDeviceError(BackendError):
    """The device has a private key that is none of this node's. Nothing was written, and nothing will be."""


class LeftMeshError(IktoError):
    """Not a failure: the agent ended because an operator had it leave the mesh, or take its device down."""

    exit_code = 9


class PluginError(IktoError):
    """A requested plugin is missing, broken, blocked or ambiguous."""

    exit_code = 7


def first_cause(error: BaseException) -> BaseException:
    """Return the most informative error inside nested exception groups.

    A permanent IktoError comes before a NatsError, which can be retried, and a NatsError before any other error.
    """
    leaves = list(_leaves(error))
    permanent = [leaf for leaf in leaves if isinstance(leaf, IktoError) and not isinstance(leaf, NatsError)]
    retryable = [leaf for leaf in leaves if isinstance(leaf, NatsError)]
    return (permanent or retryable or leaves)[0]


def described(error: BaseException) -> str:
    """Return an error's type and text on one line, even if its `__str__` raises. Escape it before printing."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - third-party code may raise anything
        text = "(its text is not available)"
    return ": ".join(filter(None, (type(error).__name__, text)))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
