"""The error with which a kit names the clause that a plugin does not keep."""


class ClauseError(AssertionError):
    """A plugin does not keep a clause.

    Args:
        clause: The clause's name, such as C16.
        text: What the plugin did.
        hangs: Whether a call never ended: further tests would wait for it again.
        complete: Whether `text` is the whole message, with the clause's text and what to do.

    """

    def __init__(self, clause: str, text: str, *, hangs: bool = False, complete: bool = False) -> None:
        super().__init__(text)
        self.clause = clause
        self.hangs = hangs
        self.complete = complete
