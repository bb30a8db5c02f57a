"""Logs what plugins use of Ikto that is to be removed. Python itself shows no DeprecationWarning of a library."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ikto_core.deprecations import IktoDeprecationWarning


@contextmanager
def deprecations_told(tell: Callable[[str], None]) -> Iterator[None]:
    """Call `tell` once for each text of an IktoDeprecationWarning. Others are shown as before.

    For a program, not a library: Python has one place for warnings, also of other threads.
    """
    told: set[str] = set()
    with warnings.catch_warnings():
        show = warnings.showwarning

        def heard(message: Warning | str, category: type[Warning], *where: object, **more: object) -> None:
            if not issubclass(category, IktoDeprecationWarning):
                show(message, category, *where, **more)  # type: ignore[arg-type]
            elif str(message) not in told:
                told.add(str(message))
                tell(str(message))

        warnings.simplefilter("always", IktoDeprecationWarning)
        warnings.showwarning = heard
        yield
