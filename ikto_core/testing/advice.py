"""What the author of a backend can do about a clause that it does not keep: the end of each failure's message."""

from collections.abc import Mapping

ADVICE: Mapping[str, str] = {
    "C1": "let `create` return at once if the device exists, and set nothing on a new one",
    "C2": "return None from `read`, and return from `delete`, if the system says that there is no such device",
    "C3": "map the system's error for an absent device to NoSuchDeviceError, and don't create it in `apply`",
    "C4": "write only members that are not None and not empty; write again what the system drops by itself",
    "C5": "write differences, additions first and removals last; never replace the whole list of peers",
    "C6": "let the device move a prefix, or remove it from its former owner in the same write",
    "C7": "skip a peer patch without `create` if the peer is absent (wg: update-only), and ignore absent removals",
    "C8": "catch the system's errors in one place and raise BackendError(message, hint=what the operator can do)",
    "C9": "read the device at each call, cache nothing; make `events` an async generator that waits without blocking, "
    "or that returns at once if there is nothing to report",
    "C10": "wait for a write that can't be stopped before the next one begins, or skip it if it has not begun; let a "
    "call that is repeated find its work done",
    "C11": "change peers one by one; never empty the list to fill it again",
    "C12": "map the handshake time 0 to None, and report each peer's own counters, as the device has them",
    "C13": "read all parts of a long answer, split long writes, and compare what is written with what is read",
    "C14": "keep the part after % of a link-local address when writing and when reading",
    "C15": "create no device when opening, delete none when closing, and keep nothing that is needed to find it again",
    "C16": "run what may block in a thread (asyncio.to_thread) or a process, give it a limit of its own, and let "
    "CancelledError pass",
    "C17": "read a few peers from the device with the same code as all of them",
    "C18": "write only what the patch names; don't write back a state that was read or remembered before",
    "C19": "keep the device in the system, a file or a process, not in a variable, and look for it at each call",
    "C20": "check the units of the source (seconds or milliseconds, UTC or local time, bytes or KiB), and which "
    "counter is which",
    "C21": "close what each call opens, also when it fails or is cancelled (`with`, `finally`); let closing wait for "
    "threads and tasks",
    "C22": "pass keys on standard input or in a file with mode 0600, and leave them out of messages",
    "C23": "return the types of ikto_core.plugins: Prefix, Endpoint, PublicKey and the others have `parse`",
}
