"""What to do about warnings and errors of the log that do not say it themselves. Pure.

An error of the host, of NATS or of a plugin brings its own hint, where one is known. This table has the others, so that
no warning leaves its reader without a next step. docs/log-messages.md says more.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

HINTS: Mapping[str, str] = {
    "NATS is inside the mesh": "give an address of the NATS server that does not depend on the mesh",
    "NATS credentials expire soon": "renew the creds file; the agent reads it again by itself",
    "a former device may be left": "delete it there if nothing else uses it: ip link delete",
    "address in use": "give this node another private_address, or remove the record of a node that is gone",
    "admin request failed": "report it with `ikto bugreport`",
    "admin request refused": "a program that is no client of Ikto has opened the socket",
    "backend call not ended": "see dmesg for a blocked task; restart the userspace WireGuard process, or the host",
    "backend not closed": "see dmesg for a blocked task; nothing else depends on it",
    "bucket settings differ": "ikto bucket upgrade",
    "can't read the snapshot": "check the disk and the mode of the state directory; a new snapshot is written",
    "can't set the file aside": "check the disk and the mode of the state directory, or remove the file",
    "changes of public keys pending": "`ikto peers release` applies them, if these nodes really have new keys",
    "configuration can't be used, nothing changes": "correct the configuration file",
    "configuration accepted as by 0.3.0": "write it as the reason says: 0.3.0 alone accepted it so",
    "device events all the time": "report it to the backend's author: the device is read at most once a second",
    "device events failed": "nothing to do: the device is compared every 60 s",
    "device has another name now, deleting the former one": "nothing to do",
    "device not deleted": "delete it by hand: ip link delete",
    "device not restored from the snapshot": "nothing to do unless it lasts: it is tried again",
    "did not leave the mesh": "see the error; the agent goes on as before, ask it again",
    "did not stop in time, ending now": "see dmesg for a blocked task",
    "drift: changed outside Ikto": "find the program that changes the device, or set keep_foreign_peers",
    "dropped messages on NATS": "find the client that may publish there; `ikto nats` prints permissions",
    "earlier record not withdrawn": "let this node write that record too, or have an operator delete it",
    "file is unreadable, setting it aside": "look at the file that was renamed; a disk may be failing",
    "key not switched": "nothing to do unless it lasts: it is tried again",
    "key rotation not resumed": "ikto key rotate",
    "lease renewal failed": "the record is removed when the lease ends: check NATS and the permissions",
    "mesh settings in the bucket differ": "ikto bucket create --overwrite-mesh, if this node is right",
    "new key not in the record yet": "nothing to do unless it lasts: it is tried again",
    "new key not on the device yet": "nothing to do unless it lasts: it is tried again",
    "no connection to NATS": "check nats_url, and that the server runs; tunnels do not depend on it",
    "no right to the own record": "have the account issue a JWT that may publish this record",
    "no state directory": "create it, or set state_dir to one that this user may write",
    "no usable address now, advertising the previous one": "set advertise_address if no address will be found",
    "not locked: a second agent would not be noticed": "make room on the disk, and check the mode of the directory",
    "device not locked: a second agent would not be noticed": "run only one agent for this device",
    "not permitted to remove expired records": "nothing to do if another node may; else `ikto bucket sweep`",
    "observer failed": "see the observer's own page; it is tried again",
    "own record not confirmed": "check NATS and its permissions; `ikto nats` prints them",
    "own record was overwritten": "find who may write this node's record: docs/security.md",
    "peer names refused": "give these nodes other names",
    "plugin uses what a later version removes": "install a newer version of the plugin, or tell its makers",
    "plugin unusable": "see `ikto plugins`; uninstall it, or name it in blocked_plugins",
    "record in this node's name without its proof": "find who may write it, or stop the copy of this machine",
    "records change too often": "look at these nodes: two programs may write one record in turns",
    "releasing the address, deleting the device": "give this node another private_address and restart its agent",
    "removed record with expired lease": "nothing to do: that node was gone for longer than its lease",
    "revocations not read": "check the file of nats_account_jwt",
    "snapshot not saved": "make room on the disk, and check the mode of the state directory",
    "snapshot of another mesh ignored": "nothing to do; a new snapshot is written",
    "socket file was removed, can't listen again": "restart the agent, or give another path with -s",
    "socket file was removed, listening again": "have no cleaner remove it: use /run/ikto, as the unit does",
    "socket path taken, serving another": "remove the file, or give another path with -s",
    "state not saved": "make room on the disk, and check the mode of the state directory",
    "stuck backend call has ended": "update the kernel if it happens again",
    "sync failed": "see the error; it is tried again",
    "underlay events failed": "nothing to do: addresses and routes are looked at regularly",
    "this node answers no questions about its health": "`ikto nats` prints the permissions; or set mesh_answers: false",
    "variable ignored": "remove it from the environment",
}
"""By the event of the log line."""


def with_hint(_logger: object, level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Give a warning or an error without a hint the table's, as a processor of structlog; drop an empty hint."""
    if not line.get("hint"):
        line.pop("hint", None)
        if level in ("warning", "error", "exception") and line.get("event") in HINTS:
            line["hint"] = HINTS[line["event"]]
    return line
