"""`python -m tests.e2e.hasty_leave agent …`: `ikto agent` that waits only a second for NATS when it is to leave."""

from ikto_core.agent import departure
from ikto_core.cli.main import main
from tests.impatient import shorten_waits

if __name__ == "__main__":
    shorten_waits(0.1)
    departure.ACKNOWLEDGED_WITHIN_S = 1.0
    main()
