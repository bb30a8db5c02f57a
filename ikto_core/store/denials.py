"""What a NATS server denies a client, as it reports that: in messages of its own, after the client has sent."""

from ikto_core.errors import NatsDeniedError

DENIED = "permissions violation for "
OF_PUBLICATION, OF_SUBSCRIPTION = f"{DENIED}publish to", f"{DENIED}subscription to"
MAX_DENIALS = 100
"""So many denials are remembered; an agent causes a handful."""


class Denials:
    """The denials of one session."""

    def __init__(self) -> None:
        self._texts: set[str] = set()  # in lower case, as nats-py gives them

    def add(self, text: str) -> None:
        """Remember a denial."""
        if len(self._texts) < MAX_DENIALS:
            self._texts.add(text)

    def refuse(self, what: str, subject: str) -> None:
        """Raise NatsDeniedError if this subject was denied; `what` is `publication to` or `subscription to`."""
        kind = OF_PUBLICATION if what.startswith("publication") else OF_SUBSCRIPTION
        if any(f'"{subject.lower()}"' in text and kind in text for text in self._texts):
            raise denied_error(what, subject)


def denied_error(what: str, subject: str) -> NatsDeniedError:
    """Return the error of a denial. It has the subject as it must be granted: nats-py gives it in lower case."""
    hint = "`ikto nats permissions` prints those that a node needs"
    return NatsDeniedError(f'NATS denied this user the {what} "{subject}"', hint=hint)
