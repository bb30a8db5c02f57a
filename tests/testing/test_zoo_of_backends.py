"""The backend kit ends, and names the clause, for every mistake of a zoo of broken backends."""

import inspect
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.device.backend import BackendContext, BackendPlugin
from ikto_core.testing.clauses import CLAUSES, clause_of
from ikto_core.testing.verdict import ClauseError
from tests.backends.fake_contract import FakeContract, OutsideBackend, plugin_of
from tests.testing.broken_backends import (
    again,
    hanging,
    listening,
    opening,
    sharing,
    stopping,
    telling,
    traces,
    updating,
    values,
    waiting,
)
from tests.testing.test_backend_contract import Kit

pytestmark = pytest.mark.slow

WG = "wg0"


@pytest.fixture(autouse=True)
async def tidy() -> AsyncIterator[None]:
    """End what the backends of the zoo leave behind."""
    yield
    for process in traces.LeaksProcesses.processes:
        process.kill()
        await process.wait()
    traces.LeaksProcesses.processes.clear()


class HastyKit(Kit):
    """Gives calls up early: these hang for ever."""

    call_limit_s = 1.0
    patience_s = 2.0


class PatientKit(Kit):
    """Waits for a loaded machine."""

    call_limit_s = 60.0


async def verdicts(kit: FakeContract, plugin: BackendPlugin, host: FakeHost, clause: str, tmp_path: Path) -> list[str]:
    """Run the tests of one clause as pytest does, with a backend that the plugin opened; return the failures."""
    found: list[str] = []
    context = BackendContext(ifname=WG, state_dir=tmp_path)
    for name in sorted(dir(kit), key=lambda name: name != "test_no_call_blocks_the_event_loop"):
        test: Callable[..., Any] = getattr(kit, name)
        if not name.startswith("test_") or clause_of(test) != clause:
            continue
        try:
            async with kit._opened(plugin, context) as backend:
                given = {
                    "backend": backend,
                    "another": OutsideBackend(getattr(backend, "host", host)),
                    "plugin": plugin,
                    "context": context,
                    "ifname": WG,
                    "other_ifname": "wg1",
                    "peers": 1000,
                }
                await test(**{name: given[name] for name in inspect.signature(test).parameters})
        except AssertionError as error:
            found.append(str(error))
            if isinstance(error, ClauseError) and error.hangs:
                break  # as the kit, which skips the tests after that
        except pytest.skip.Exception:
            continue
    return found


def check_message(messages: list[str], clause: str, words: str) -> None:
    assert messages
    named = [text for text in messages if text.startswith(f"{clause}: {CLAUSES[clause]} But ")]
    assert named, messages
    assert any(words in text for text in named), named
    assert all("What to do: " in text and len(text) < len(CLAUSES[clause]) + 1200 for text in named)


@pytest.mark.parametrize(
    ("kind", "clause", "words"),
    [
        (hanging.SleepsInRead, "C16", "calls time.sleep in SleepsInRead.read (hanging.py, line "),
        (hanging.SleepsAndSwallows, "C16", "calls time.sleep"),
        (hanging.RunsProgramsInRead, "C16", "calls subprocess.run or Popen.communicate"),
        (hanging.WaitsForAThread, "C16", "calls Future.result of concurrent.futures"),
        (hanging.JoinsAThread, "C16", "calls threading.Thread.join"),
        (hanging.AsksABlockingSocket, "C16", "of a blocking socket"),
        (hanging.CancelsItself, "C16", "your `read` raised CancelledError, and nobody had cancelled it"),
        (hanging.LeavesTheProgram, "C8", "your `read` raised SystemExit"),
        (listening.EventsAreACoroutine, "C9", "write it as an async generator"),
        (listening.EventsAreAList, "C9", "your `events` returned list"),
        (listening.EventsAreNothing, "C9", "your `events` returned NoneType"),
        (listening.EventsAreAGenerator, "C9", "your `events` returned generator"),
        (listening.EventsSleep, "C16", "it calls time.sleep in EventsSleep.events"),
        (listening.EventsFlood, "C9", "changes of a device that nobody changed"),
        (listening.EventsRepeat, "C9", "changes of a device that nobody changed"),
        (listening.EventsAreText, "C9", "your `events` yielded str, not a DeviceEvent"),
        (values.ReadsADict, "C23", "your `read` returned dict"),
        (values.ReadsAddressesAsText, "C23", "DeviceState.addresses has a str"),
        (values.ReadsPeersAsAList, "C23", "DeviceState.peers is list"),
        (values.ReadsEndpointsAsText, "C23", "PeerState.endpoint is str"),
        (values.ReadsAllowedIpsAsAList, "C23", "PeerState.allowed_ips is list"),
        (values.ReadsKeepaliveInMilliseconds, "C4", ".persistent_keepalive is 25000, expected 25"),
        (values.ReadsNoPresharedKey, "C13", ".preshared_key is None, expected a secret key"),
        (values.ReadsPortsAs15Bits, "C4", ":19052, expected "),
        (values.ReadsMilliseconds, "C20", "last_handshake is 1700000000000.0: not seconds"),
        (values.ReadsAnAge, "C20", "last_handshake is 3.0: not seconds"),
        (values.SwapsCounters, "C20", "rx_bytes is 92, tx_bytes 148"),
        (values.CountsBits, "C20", "rx_bytes is 1184"),
        (values.CountsPackets, "C20", "rx_bytes is 1,"),
        (values.IgnoresTheMtu, "C4", "mtu is 1420, expected 1400"),
        (values.TakesZeroForUnchanged, "C4", "fwmark is 7, expected 0"),
        (values.NeverClearsAllowedIps, "C4", ".allowed_ips has fd78::/48, which was not expected"),
        (values.NeverGoesDown, "C4", "up is True, expected False"),
        (values.WritesAddressesAsHosts, "C4", "addresses lacks 10.78.0.1/16"),
        (values.NeverRemovesPeers, "C13", "which was not expected"),
        (values.WritesTheFirstHundredPeers, "C13", "peers lacks peer 101, peer 102, peer 103 and 897 more"),
        (values.SharesItsPeers, "C23", "the mapping lacks peer 1"),
        (values.FailsForNamesThatAreTooLong, "C8", "KeyError"),
        (sharing.IgnoresTheName, "C19", "expected"),
        (sharing.RemovesUnknownPeers, "C18", "lacks peer"),
        (sharing.WritesBackWhatItRemembers, "C18", ".persistent_keepalive is"),
        (sharing.WritesTheWholeDevice, "C18", "lacks peer"),
        (traces.LeaksFileDescriptors, "C21", "50 calls of `read` left 50 file descriptors"),
        (traces.LeaksFileDescriptorsOfFailedCalls, "C21", "50 calls of `apply that fails` left 50 file descriptors"),
        (traces.LeaksThreads, "C21", "50 calls of `apply` left 50 threads"),
        (traces.LeaksTasks, "C21", "50 calls of `read` left 50 tasks"),
        (traces.LeaksProcesses, "C21", "50 child processes"),
        (traces.LeaksListeners, "C21", "50 calls of `events` left 50 file descriptors"),
        (traces.WritesAfterClosing, "C21", "which was not expected"),
        (traces.RunsAfterClosing, "C21", "a task still runs after closing"),
        (traces.ShowsKeysInErrors, "C22", "a secret key is in the message of"),
        (traces.ShowsKeysInHints, "C22", "a secret key is in the message of"),
        (traces.PassesKeysAsArguments, "C22", "in the arguments or the environment of a program"),
        (traces.PassesKeysInTheEnvironment, "C22", "in the arguments or the environment of a program"),
        (traces.WritesKeysToReadableFiles, "C22", "a file with mode 0644"),
        (traces.LogsKeys, "C22", "in a log message"),
        (traces.PrintsKeys, "C22", "in what the backend printed"),
        (traces.ReadsPeersThatAreGone, "C1", "peer 1"),
        (waiting.SelectsInRead, "C16", "calls select.select in SelectsInRead.read (waiting.py, line "),
        (waiting.LocksAFile, "C16", "calls fcntl.flock in LocksAFile.apply"),
        (waiting.ReadsAPipe, "C16", "calls os.read in ReadsAPipe.read"),
        (waiting.WaitsForAProcessId, "C16", "calls os.waitpid in WaitsForAProcessId.apply"),
        (waiting.ReadsAProgram, "C16", "calls subprocess.Popen.wait"),
        (waiting.MapsInAPool, "C16", "calls threading.Event.wait in MapsInAPool.apply"),
        (stopping.ReadsNothingWhenCancelled, "C16", "your `read` swallowed its cancellation"),
        (stopping.SaysDoneWhenCancelled, "C16", "your `apply` swallowed its cancellation"),
        (stopping.SaysCreatedWhenCancelled, "C16", "your `create` swallowed its cancellation"),
        (stopping.SaysDeletedWhenCancelled, "C16", "your `delete` swallowed its cancellation"),
        (stopping.FailsToDeleteWhenCancelled, "C16", "wg0: could not be deleted"),
        (stopping.LeaksWhenDeleting, "C21", "50 calls of `delete and create` left 50 file descriptors"),
        (stopping.LeaksWhenCreating, "C21", "50 calls of `delete and create` left 50 file descriptors"),
        (stopping.LeaksNowAndThen, "C21", "50 calls of `read` left 10 file descriptors"),
        (stopping.ShutsDownWithoutWaiting, "C21", "which was not expected"),
        (stopping.CreatesLater, "C1", "the device is absent"),
        (stopping.DeletesLater, "C2", "expected None"),
        (stopping.DeleteNeedsADevice, "C2", "BackendError: wg0: no such device"),
        (telling.ShowsKeysInTheCause, "C22", "a secret key is in the cause of"),
        (telling.ShowsKeysInANote, "C22", "a secret key is in the cause of"),
        (telling.ShowsKeysAsBytes, "C22", "a secret key is in the message of"),
        (telling.SetsItsOwnEnvironment, "C22", "in the arguments or the environment of a program"),
        (telling.PassesKeysToAShell, "C22", "in the arguments or the environment of a program"),
        (telling.ProtectsTheFileTooLate, "C22", "a file with mode 0644"),
        (telling.LogsToItsOwnHandler, "C22", "in a log message"),
        (telling.WarnsOfKeys, "C22", "in a warning"),
        (telling.WritesKeysToDescriptorTwo, "C22", "in what the backend, or a program, printed"),
        (updating.LosesKeepaliveWithTheEndpoint, "C4", ".persistent_keepalive is 0, expected 25"),
        (updating.LosesKeepaliveWithAllowedIps, "C4", ".persistent_keepalive is 0, expected 25"),
        (updating.LosesValuesOfAPeerThatIsCreatedAgain, "C4", ".persistent_keepalive is 0, expected 25"),
        (updating.LosesThePresharedKeyWithTheKeepalive, "C4", ".preshared_key is None, expected a secret key"),
        (updating.AddsAllowedIps, "C4", "which was not expected"),
        (updating.WritesTheFirstEndpointAgain, "C18", ".endpoint is [2001:db8::1]:51820, expected 198.51.100.1:7"),
        (updating.CountsKibibytes, "C20", "the peer shows last_handshake 1700000000.0, rx_bytes 0, tx_bytes 0"),
        (updating.SumsCounters, "C12", "a peer without a handshake shows last_handshake None, rx_bytes 148"),
        (updating.ShowsTheLatestHandshake, "C12", "a peer without a handshake shows last_handshake 1700000000.0"),
        (updating.ReadsLocalTime, "C20", "in another time zone: not of UTC"),
        (updating.ReadsSecondsSinceTheBoot, "C20", "not seconds since 1970 of these years"),
        (updating.ReadsNanoseconds, "C20", "not seconds since 1970 of these years"),
        (updating.CachesForASecond, "C9", "which was not expected"),
        (updating.RemembersAtOpening, "C18", "lacks peer"),
        (updating.IsAloneInTheProcess, "C19", "another backend has the socket"),
        (updating.ReadsAllForAFew, "C17", "which was not expected"),
        (again.WritesLater, "C3", "did not raise NoSuchDeviceError"),
        (again.ReadsAStepBehind, "C2", "expected None"),
        (again.AddsAnAddressOnce, "C10", "File exists"),
        (again.RemovesAnAddressOnce, "C10", "Cannot assign requested address"),
        (again.CreatesWhenOpened, "C15", "expected None"),
        (again.GoesUpWithEachWrite, "C4", "the value is True, expected False"),
        (again.WritesNetworks, "C4", "addresses lacks 10.78.0.1/16"),
        (again.MarksInSixteenBits, "C13", "fwmark is "),
        (again.KeepsAliveInEightBits, "C13", ".persistent_keepalive is "),
        (again.IgnoresDefaultRoutes, "C13", ".allowed_ips lacks "),
        (again.ReadsIPv4Only, "C4", ".allowed_ips lacks "),
        (again.ShowsAKeyOfZeros, "C4", "is a key of zeros, expected None"),
        (again.MapsInAnExecutor, "C16", "in MapsInAnExecutor.read"),
        (again.WaitsAsCompleted, "C16", "in WaitsAsCompleted.read"),
        (again.JoinsAProcess, "C16", "calls multiprocessing.Process.join in JoinsAProcess.apply"),
        (again.WaitsForACondition, "C16", "calls threading.Condition.wait in WaitsForACondition.read"),
        (again.LooksANameUp, "C16", "calls socket.gethostbyaddr"),
    ],
)
@pytest.mark.filterwarnings("ignore:writing:UserWarning", "ignore::ResourceWarning")
async def test_the_kit_names_the_mistake(kind: type[FakeBackend], clause: str, words: str, tmp_path: Path) -> None:
    host = FakeHost()
    hangs = kind.__module__ in {hanging.__name__, listening.__name__}
    kit = HastyKit() if hangs else PatientKit()
    check_message(await verdicts(kit, plugin_of(host, kind), host, clause, tmp_path), clause, words)


async def test_threads_that_the_loop_waits_for_are_no_mistake(tmp_path: Path) -> None:
    host = FakeHost()
    assert await verdicts(PatientKit(), plugin_of(host, again.ThreadsRightly), host, "C16", tmp_path) == []


@pytest.mark.parametrize(
    ("kind", "run", "clause", "words"),
    [
        (hanging.SleepsInRead, "C4", "C16", "your `read` never yields to the event loop"),
        (hanging.SpinsInApply, "C4", "C16", "your `apply` never yields to the event loop"),
        (hanging.SwallowsCancellation, "C16", "C16", "s after it was cancelled"),
        (hanging.NeverReads, "C1", "C16", "your `read` has not returned after 1 s"),
        (hanging.NeverDeletes, "C2", "C16", "your `delete` has not returned after 1 s, nor when it was cancelled"),
        (hanging.WritesInAThreadForEver, "C13", "C16", "your `apply` has not returned after "),
        (listening.EventsSpin, "C9", "C9", "your `events` never yields to the event loop"),
        (listening.EventsSleep, "C9", "C9", "your `events` never yields to the event loop"),
        (listening.EventsSwallowCancellation, "C9", "C16", "your `events` has not ended"),
        (stopping.EventsOnlyOnce, "C9", "C9", "'gone'>) within 2 s, although it happened"),
        (stopping.EventsOfAnotherName, "C9", "C9", "'changed'>) within 2 s, although it happened"),
        (waiting.RetriesForEver, "C8", "C16", "your `apply` has not returned after 1."),
        (waiting.HangsAfterFortyWrites, "C21", "C16", "your `apply` has not returned after 1."),
        (waiting.WaitsForItself, "C3", "C16", "your `apply` has not returned after 1."),
    ],
)
async def test_the_kit_ends_whatever_hangs(
    kind: type[FakeBackend], run: str, clause: str, words: str, tmp_path: Path
) -> None:
    host = FakeHost()
    check_message(await verdicts(HastyKit(), plugin_of(host, kind), host, run, tmp_path), clause, words)


@pytest.mark.parametrize(
    ("open_", "run", "clause", "words"),
    [
        (opening.yields_none, "C1", "C23", "your `open` yielded None"),
        (opening.never_opens, "C1", "C16", "your `open` has not returned"),
        (opening.never_closes, "C1", "C16", "your backend has not closed"),
        (opening.never_closes_even_if_cancelled, "C1", "C16", "your backend has not closed"),
        (opening.is_a_coroutine, "C1", "C23", "your `open` returned coroutine"),
        (opening.returns_the_backend, "C1", "C23", "your `open` returned FakeBackend"),
        (opening.is_an_undecorated_generator, "C1", "C23", "your `open` returned async_generator"),
        (opening.lacks_delete, "C1", "C23", "has no method `delete`"),
        (opening.reads_without_async, "C1", "C23", "your `read` returned"),
        (sharing.open_in_module, "C19", "C19", "the value is None"),
        (sharing.open_in_backend, "C19", "C19", "the device is absent"),
    ],
)
async def test_the_kit_names_what_is_wrong_with_opening(
    open_: Any, run: str, clause: str, words: str, tmp_path: Path
) -> None:
    kit = PatientKit() if run == "C19" else HastyKit()
    plugin = BackendPlugin(name="mine", summary="", open=open_, host_devices=False)
    check_message(await verdicts(kit, plugin, opening.HOST, run, tmp_path), clause, words)
