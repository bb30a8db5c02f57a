"""What an agent would refuse, as far as the configuration and the files and plugins that it names tell.

`ikto config check` and `ikto doctor` call the same. The steps are those of an agent's start, in that order.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from ikto_core.claim.revoked_users import RevokedUsers
from ikto_core.config import file_problems, file_warnings
from ikto_core.diagnosis.checks import PAGE, Category, Check, failure, warning
from ikto_core.diagnosis.checks_host import present_part
from ikto_core.diagnosis.subject import Subject
from ikto_core.errors import ConfigError, IktoError
from ikto_core.plugins.check_contract import Finding
from ikto_core.store.login import prepare_login

CONFIGURATION = "configuration"
PAGE_OF_CONFIGURATION = f"{PAGE}#{CONFIGURATION}"

_LOGIN_FILES = ("nats_creds", "nats_nkey_seed", "nats_tls_ca", "nats_tls_cert", "nats_tls_key")


async def refusals(subject: Subject) -> Sequence[IktoError]:
    """Return why an agent would not start, in the order in which it would say so; empty: it starts, as far as known."""
    return (
        *map(ConfigError, file_problems(subject.config)),
        *_key(subject),
        *_plugins(subject),
        *_state_dir(subject),
        *await _backend(subject),
        *_right(subject),
        *_revocations(subject),
        *_login(subject),
    )


def _key(subject: Subject) -> Iterable[IktoError]:
    if _has_unsafe(subject, "private_key_path"):
        return ()
    found = _raised(lambda: subject.private_key)
    return [ConfigError(f"private_key_path: {error}", hint=error.hint) for error in found]


def _plugins(subject: Subject) -> Iterable[IktoError]:
    """Yield why a plugin that the configuration names can't be used."""
    config, plugins = subject.config, subject.plugins
    found = [
        *_raised(lambda: plugins.backend(config.backend)),
        *_raised(lambda: plugins.ipam(config.ipam)),
        *(error for text in config.observers for error in _raised(partial(plugins.observer, text.partition("=")[0]))),
        *plugins.settings_problems(),
    ]
    yield from {str(error): error for error in found}.values()  # what is used and has wrong settings is found twice


def _state_dir(subject: Subject) -> Iterable[IktoError]:
    """Return why there can be no state directory."""
    if found := _raised(subject.config.state_path):
        return found
    present = present_part(subject.config.state_path())
    return [] if present.is_dir() else [ConfigError(f"state_dir: {present} is not a directory", hint="set another one")]


async def _backend(subject: Subject) -> Iterable[IktoError]:
    """Return what the backend refuses when it is opened, such as a network namespace that it does not support."""
    config = subject.config
    if _raised(lambda: subject.plugins.backend(config.backend)) or _raised(config.state_path):
        return ()
    try:
        await subject.backend()
    except IktoError as error:
        return (error,)
    return ()


def _right(subject: Subject) -> Iterable[IktoError]:
    """Return why other nodes would refuse this node's record."""
    user, node = subject.node.user, subject.node
    if not (user and node.authority) or _has_unsafe(subject, "nats_creds") or _raised(user.load):  # `_login` says why
        return ()
    problem = user.problem(node.kv_key)
    return (problem,) if problem else ()


def _revocations(subject: Subject) -> Iterable[IktoError]:
    """Return why the JWT of the account can't be used."""
    path, authority = subject.config.nats_account_jwt, subject.node.authority
    if not (path and authority) or _has_unsafe(subject, "nats_account_jwt"):
        return ()
    return _raised(RevokedUsers(path, authority.account, lambda _: None).read)


def _login(subject: Subject) -> Iterable[IktoError]:
    """Return why a file to log in with can't be used. The files are the same for all servers."""
    if _has_unsafe(subject, *_LOGIN_FILES):
        return ()
    return _raised(lambda: prepare_login(subject.nats, subject.nats.servers[0]))


def _has_unsafe(subject: Subject, *settings: str) -> bool:
    """Return whether one of these settings names a file whose owner or mode is reported already."""
    prefixes = tuple(f"{setting}: " for setting in settings)
    return any(problem.startswith(prefixes) for problem in file_problems(subject.config))


def _raised(call: Callable[[], object]) -> Sequence[IktoError]:
    """Return the error that a call raises, if it does."""
    try:
        call()
    except IktoError as error:
        return (error,)
    return ()


async def _configuration(subject: Subject) -> Iterable[Finding]:
    accepted = (text.rpartition("; ") for text in file_warnings(subject.config))
    return [
        *(failure(problem) for problem in await refusals(subject)),
        *(warning(text, command) for text, _, command in accepted),
    ]


CONFIG_CHECKS = (
    Check(
        category=Category.HOST,
        name=CONFIGURATION,
        summary="an agent accepts the configuration, and the files and plugins that it names",
        run=_configuration,
    ),
)
