"""SIGTERM ends an agent whose event loop a plugin blocks."""

import signal
import subprocess
import sys

PROGRAM = """
import asyncio, time
from ikto_core.cli import agent_run as agent
agent.STOP_LIMIT_S = 0.2
async def run():
    print("blocked", flush=True)
    {block}
asyncio.run(agent._until_stopped(run(), print, {{}}))
"""


def ends(block: str) -> str:
    program = [sys.executable, "-c", PROGRAM.format(block=block)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "blocked\n"
        process.send_signal(signal.SIGTERM)
        output = process.stdout.read()
        assert process.wait(timeout=120) == 0
    return output


def test_sigterm_ends_an_agent_that_sleeps_in_the_event_loop() -> None:
    assert "did not stop in time, ending now" in ends("time.sleep(3600)")


def test_sigterm_ends_an_agent_that_loops_for_ever() -> None:
    assert "did not stop in time, ending now" in ends("while True: pass")
