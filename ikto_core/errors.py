"""The errors that a caller of Ikto can meet; each class is one that somebody branches on."""

from collections.abc import Iterator


class IktoError(Exception):
    """Something the operator must know: one line of what is wrong, and a hint at what to do.

    Args:
        message: What is wrong, and where.
        hint: What to do about it; may be empty.

    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(IktoError):
    """The configuration, or a file that it names, can't be used. `problems` lists every one found."""

    exit_code = 3

    def __init__(self, message: str, *, hint: str = "", problems: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.problems = problems


class AddressInUseError(IktoError):
    """Our subnet belongs to somebody else; never overwritten, whoever it is."""

    exit_code = 4


class NatsError(IktoError):
    """NATS can't be reached, or does not let us do what we must. Worth another try later."""

    exit_code = 5


class NatsDeniedError(NatsError):
    """NATS refused us: wrong credentials or a missing permission. Trying again at once won't help."""


class BucketMissingError(NatsError):
    """The bucket does not exist on a server that answers."""


class RevisionConflictError(NatsError):
    """A write expected another revision of its key: somebody else wrote first. Nothing was written."""


class WriteUnknownError(NatsError):
    """A write's answer did not come: it may or may not have happened. Read back before anything else."""


class BackendError(IktoError):
    """A WireGuard backend could not do what was asked."""

    exit_code = 6


class NoSuchDeviceError(BackendError):
    """The device is not there (any more)."""


class PluginError(IktoError):
    """A plugin that was asked for is missing or broken."""

    exit_code = 7


def first_cause(error: BaseException) -> BaseException:
    """Return the error inside exception groups that says most: a final IktoError, one worth another try, any other."""
    leaves = list(_leaves(error))
    final = [leaf for leaf in leaves if isinstance(leaf, IktoError) and not isinstance(leaf, NatsError)]
    passing = [leaf for leaf in leaves if isinstance(leaf, NatsError)]
    return (final or passing or leaves)[0]


def described(error: BaseException) -> str:
    """Return an error's type and text on one line; others wrote both, and an error may even fail to tell its text."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - whatever an exception of others does
        text = "(it can't be told)"
    return ": ".join(filter(None, (type(error).__name__, text)))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
