"""`ikto agent` without what keeps first handshakes from colliding: `python -m tests.colliding WHAT agent …`.

WHAT it does not do: `listen` (wait before it uses a new address), `kick` (start over with a peer that did not answer),
or `listen,kick`, as Ikto 0.3.0.
"""

import sys
from math import inf

from ikto_core.claim import listening
from ikto_core.cli.main import main
from ikto_core.device.first_contact import FirstContact


def turn_off(what: str) -> None:
    """Turn a part off."""
    if what == "listen":
        listening.LISTEN_S = -inf
    else:
        FirstContact.added = lambda *_: None  # type: ignore[method-assign]
        FirstContact.seen = lambda *_: None  # type: ignore[method-assign]


if __name__ == "__main__":
    for part in sys.argv.pop(1).split(","):
        turn_off(part)
    main()
