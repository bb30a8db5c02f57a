"""What it means that settings change: for the claim, the device, the connection to NATS, the record. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

import msgspec

HIDDEN = "(hidden)"


class Part(Enum):
    """What of a node a setting is about."""

    CLAIM = "claim"
    RECORD = "record"
    DEVICE = "device"
    NATS = "NATS"
    PEERS = "peers"
    AGENT = "agent"


class Effect(msgspec.Struct, frozen=True):
    """What happens when the agent is started with another value of a setting."""

    part: Part
    text: str


_OTHER_CLAIM = Effect(Part.CLAIM, "another subnet is claimed, then this node's earlier record is withdrawn")
_OTHER_MESH = Effect(Part.CLAIM, "this is another mesh: its bucket must have these settings, a subnet is claimed there")
_LOGIN = Effect(Part.NATS, "the connection to NATS is made with this login")
_TLS = Effect(Part.NATS, "the connection to NATS is made with this certificate")
_RECORD = Effect(Part.RECORD, "the record is written again, and peers follow it")
_OTHER_DEVICE = Effect(Part.DEVICE, "another device is made, and sessions begin anew")

EFFECTS: Mapping[str, tuple[Effect, ...]] = {
    "name": (_RECORD, Effect(Part.NATS, "answers come to another inbox, for which the user needs the permission")),
    "advertise_address": (_RECORD,),
    "private_address": (_OTHER_CLAIM, Effect(Part.DEVICE, "the device gets another address")),
    "subnet_prefix": (_OTHER_MESH,),
    "mesh_cidr": (_OTHER_MESH, Effect(Part.DEVICE, "the device gets another address and route")),
    "wg_dev_name": (_OTHER_DEVICE,),
    "wg_port": (_RECORD, Effect(Part.DEVICE, "the device listens on another port: open it in firewalls first")),
    "private_key_path": (
        Effect(Part.CLAIM, "with another key, this node is another one: `ikto key rotate` keeps the claim"),
        Effect(Part.DEVICE, "the device gets this key, and sessions begin anew"),
    ),
    "nats_creds": (_LOGIN,),
    "nats_url": (Effect(Part.NATS, "the connection is made to one of these servers"),),
    "nats_kv": (Effect(Part.CLAIM, "the subnet is claimed in another bucket; the record in the former one stays"),),
    "backend": (Effect(Part.DEVICE, "another backend drives the device"),),
    "netns": (_OTHER_DEVICE,),
    "ipam": (Effect(Part.CLAIM, 'only a subnet that is claimed anew, with "auto", is proposed by this strategy'),),
    "ipam_reserved": (Effect(Part.CLAIM, 'only a subnet that is claimed anew, with "auto", heeds this'),),
    "adopt_device": (Effect(Part.DEVICE, "a device with somebody else's key is replaced, or is refused"),),
    "log_level": (Effect(Part.AGENT, "the log has more or less in it"),),
    "metrics_listen": (Effect(Part.AGENT, "metrics are served over TCP, or no longer are"),),
    "metrics_peers": (Effect(Part.AGENT, "metrics have figures of each peer up to this number of peers"),),
    "mesh_answers": (Effect(Part.AGENT, "the agent answers `ikto mesh`, or no longer does"),),
    "observers": (Effect(Part.AGENT, "these observers get the events"),),
    "plugins": (Effect(Part.AGENT, "plugins get these settings"),),
    "blocked_plugins": (Effect(Part.AGENT, "these plugins are not loaded"),),
    "state_dir": (Effect(Part.AGENT, "the claim and the snapshot are looked for there: move the files first"),),
    "mtu": (Effect(Part.DEVICE, "the MTU of the device is changed"),),
    "persistent_keepalive": (Effect(Part.DEVICE, "the keepalive of every peer is changed"),),
    "fwmark": (Effect(Part.DEVICE, "encrypted packets get this mark, which routes and rules must know"),),
    "endpoints": (_RECORD,),
    "keep_foreign_peers": (Effect(Part.DEVICE, "peers of others stay, or are removed"),),
    "removal_limit": (Effect(Part.PEERS, "more or fewer peers are removed at once"),),
    "record_trust": (Effect(Part.PEERS, "records are judged by another rule, and peers may go"),),
    "nats_account_jwt": (Effect(Part.PEERS, "the revocations are read from this file"),),
    "lease": (Effect(Part.RECORD, "the record expires, or no longer does, when this node is gone"),),
    "nats_domain": (Effect(Part.NATS, "the bucket is looked for in another JetStream domain"),),
    "nats_api_prefix": (Effect(Part.NATS, "the bucket is looked for under other subjects"),),
    "nats_user": (_LOGIN,),
    "nats_password": (_LOGIN,),
    "nats_token": (_LOGIN,),
    "nats_nkey_seed": (_LOGIN,),
    "nats_tls_first": (Effect(Part.NATS, "TLS begins with the connection, or after the server's greeting"),),
    "nats_tls_ca": (_TLS,),
    "nats_tls_cert": (_TLS,),
    "nats_tls_key": (_TLS,),
}
"""By setting. A setting that is not here has no effect that is known."""

_STAYS = {
    Part.CLAIM: "the subnet stays claimed",
    Part.RECORD: "the record stays as it is",
    Part.DEVICE: "the device stays, with its sessions",
    Part.NATS: "the connection is made as before",
}
"""What to say of a part that no setting changes, but for the restart."""


class SettingChange(msgspec.Struct, frozen=True, kw_only=True):
    """A setting that differs. Secrets are shown as `(hidden)`."""

    setting: str
    before: object
    after: object


def setting_changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[SettingChange]:
    """Return the settings that differ, in the order of `after`. A setting that only one side has differs."""
    return [
        SettingChange(setting=name, before=before.get(name), after=after.get(name))
        for name in {**after, **before}
        if _plain(before.get(name)) != _plain(after.get(name))
    ]


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def uncompared(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Return the settings whose values are hidden on both sides, so that nobody sees whether they differ."""
    return [name for name in after if HIDDEN in str(before.get(name)) and HIDDEN in str(after[name])]


def effects(changed: Iterable[str]) -> dict[str, Sequence[str]]:
    """Return for each part of the node what happens to it, for settings that change."""
    found: dict[Part, list[str]] = {}
    for setting in changed:
        for effect in EFFECTS.get(setting, ()):
            texts = found.setdefault(effect.part, [])
            if effect.text not in texts:
                texts.append(effect.text)
    return {part.value: found.get(part) or [_STAYS[part]] for part in Part if part in found or part in _STAYS}
