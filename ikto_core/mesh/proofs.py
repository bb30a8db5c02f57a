"""Proofs: signatures by which a record shows that the owner of its public key wrote it.

A proof is the last member of a record's value, `,"proof":"BASE64"}`. It signs the bucket's name, the KV key and all
bytes of the value before it (decision 18). Ikto 0.3.0 ignores it.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ikto_core.mesh.record_members import without_half_pairs
from ikto_core.mesh.records import (
    MAX_BRACKETS,
    MAX_RECORD_BYTES,
    PEER_KEYS,
    PeerRecord,
    RecordError,
    bracket_count,
    decode_record,
    encode_record,
)
from ikto_core.mesh.rights import Authority, NoRightError, Right, right_member, right_of
from ikto_core.values.counters import ProofCounters
from ikto_core.values.keys import PrivateKey, PublicKey
from ikto_core.values.signatures import SIGNATURE_BYTES, framed, sign, verify

RECORD_DOMAIN = b"ikto record v1"

_BEGIN, _END = b',"proof":"', b'"}'
_TEXT_BYTES = 88  # base64 of SIGNATURE_BYTES
_TAIL_BYTES = len(_BEGIN) + _TEXT_BYTES + len(_END)


class Proof(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a record proves: the members that matter for what may follow it under its KV key."""

    public_key: PublicKey
    serial: int
    left: bool = False  # the owner has given the subnet up
    next_public_key: PublicKey | None = None  # the key that the owner announces
    successions: tuple[str, ...] = ()  # statements of the owner's former keys, oldest first
    right: Right | None = None  # to the KV key; None: none is needed


class ProofResult(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known about the proof of a value."""

    record: PeerRecord | None = None  # as decoded on the way; None: it was not, or it is invalid
    proof: Proof | None = None  # None: it proves nothing
    public_key: PublicKey | None = None  # of a value without a proof or a right; None: it can't be read
    fault: str = ""  # why its proof or its right is wrong; empty: they are right, or there is no proof

    @property
    def owner(self) -> PublicKey | None:
        """The public key that the value names, proved or not; None: it can't be read."""
        return self.proof.public_key if self.proof else self.public_key


class _Owner(msgspec.Struct):
    public_key: str
    instance: msgspec.Raw = msgspec.Raw(b'""')


_decode_owner = msgspec.json.Decoder(_Owner).decode
_decode_text = msgspec.json.Decoder(str).decode


def owner_of(value: bytes) -> tuple[str, str] | None:
    """Return the public key and instance that a record names, valid or not; None if it can't be parsed that far."""
    if bracket_count(value) > MAX_BRACKETS:
        return None
    try:
        owner = _decode_owner(without_half_pairs(value[:MAX_RECORD_BYTES]))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    try:
        return owner.public_key, _decode_text(owner.instance)
    except (msgspec.MsgspecError, UnicodeDecodeError):  # null or another type, which is as if it were absent
        return owner.public_key, ""


def signed_message(domain: bytes, bucket: str, key: str, content: bytes) -> bytes:
    """Return the bytes that are signed for some content under a KV key."""
    return framed(domain, bucket.encode(), key.encode(), content)


def signed_value(record: PeerRecord, key: PrivateKey, bucket: str, nonce: bytes, user_signature: bytes = b"") -> bytes:
    """Return a record's value with a proof by its private key; `nonce` as in `sign`.

    `user_signature`: the user's signature of `right_message`; empty: the record has none.
    """
    body = encode_record(record).removesuffix(b"}") + right_member(user_signature)
    signature = sign(key, signed_message(RECORD_DOMAIN, bucket, record.key, body), nonce)
    return body + _BEGIN + b64encode(signature) + _END


def has_proof(value: bytes) -> bool:
    """Return whether a value has the form of one with a proof: exactly one such member, at its end."""
    return (
        value[-_TAIL_BYTES : len(_BEGIN) - _TAIL_BYTES] == _BEGIN
        and value.endswith(_END)
        and value.count(_BEGIN[1:-1]) == 1
        and _signature(value) is not None
    )


def judge(
    bucket: str, key: str, value: bytes, *, authority: Authority | None = None, verified: bool = False
) -> ProofResult:
    """Return what the value of a KV key proves. Takes a tenth of a millisecond, and nothing much without a proof.

    Args:
        bucket: The bucket's name.
        key: The KV key.
        value: Its value.
        authority: Whose users have a right to KV keys; None: a record needs no right.
        verified: Whether this value's signatures were verified before.

    """
    if not has_proof(value):
        return _unproved(key, value)
    try:
        record = decode_record(key, value)
    except RecordError:
        return ProofResult()  # quarantined for that reason
    if not record.serial:
        return ProofResult(fault="its proof is wrong: it has no serial")
    message = signed_message(RECORD_DOMAIN, bucket, key, value[:-_TAIL_BYTES])
    if not (verified or verify(record.public_key, message, _signature(value) or b"")):
        return ProofResult(fault="its proof is wrong: the owner of its public key has not signed this value")
    right = None
    if authority and not record.left:  # whoever has the key may give the subnet up
        try:
            right = right_of(authority, bucket, record, value, verified=verified)
        except NoRightError as error:
            return ProofResult(public_key=record.public_key, fault=str(error))
    return ProofResult(
        record=record,
        proof=Proof(
            public_key=record.public_key,
            serial=record.serial,
            left=record.left,
            next_public_key=record.next_public_key,
            successions=record.successions,
            right=right,
        ),
    )


class ProofIndex:
    """The results on the records of a bucket, by KV key: no value is verified twice in a row.

    Args:
        bucket: The bucket's name.
        authority: Whose users have a right to KV keys; None: a record needs no right.

    """

    def __init__(self, bucket: str, authority: Authority | None = None) -> None:
        self.bucket = bucket
        self.authority = authority
        self.now_s = 0.0  # the time as of which rights are judged, in seconds since the epoch; 0: none has expired
        self.revocations: Mapping[str, float] = {}  # as `Right.fault` takes them
        self.stats = ProofCounters()
        self._known: dict[str, tuple[bytes, ProofResult]] = {}  # of values that have a proof, by KV key

    def result(self, key: str, value: bytes) -> ProofResult:
        """Return what a value proves at `now_s`; it is verified here and now if `judge_all` was not given it before."""
        return self.now(self.verified(key, value))

    def verified(self, key: str, value: bytes) -> ProofResult:
        """Return the result on a value, as if no right had ended."""
        known = self._known.get(key)
        if not (known and known[0] == value):
            if not has_proof(value):
                return _unproved(key, value)
            self.learn(self.judge_all([(key, value)]))
            known = self._known[key]
        return known[1]

    def now(self, result: ProofResult) -> ProofResult:
        """Return what a result is worth at `now_s`, when the right of a proved record may have ended."""
        proof = result.proof
        if proof and proof.right and (fault := self.right_fault(proof)):
            return ProofResult(public_key=proof.public_key, fault=fault)
        return result

    def right_fault(self, proof: Proof) -> str:
        """Return why the right of a proved record has ended; empty: it has not."""
        return proof.right.fault(self.now_s, self.revocations) if proof.right else ""

    def unknown(self, values: Iterable[tuple[str, bytes | None]]) -> list[tuple[str, bytes]]:
        """Return those of some KV keys and values that must be verified."""
        return [
            (key, value)
            for key, value in values
            if value and key.startswith(PEER_KEYS) and self._known.get(key, (b"",))[0] != value and has_proof(value)
        ]

    def judge_all(self, values: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes, ProofResult]]:
        """Return the results on some values, to be given to `learn`. It may be called in any thread."""
        return [(key, value, judge(self.bucket, key, value, authority=self.authority)) for key, value in values]

    def learn(self, results: Iterable[tuple[str, bytes, ProofResult]]) -> None:
        """Remember results."""
        for key, value, result in results:
            self._known[key] = (value, result)
            self.stats.verified += 1
            self.stats.wrong += bool(result.fault)

    def trust(self, key: str, value: bytes, *, verified: bool = True) -> ProofResult:
        """Return what a value of an earlier run's snapshot proves; `verified`: that run verified its signatures."""
        if verified:
            self._known[key] = (value, judge(self.bucket, key, value, authority=self.authority, verified=True))
        return self.result(key, value)

    def forget(self, key: str) -> None:
        """Forget the result on a KV key that has no value any more."""
        self._known.pop(key, None)


def _signature(value: bytes) -> bytes | None:
    """Return the signature at the end of a value with a proof; None if it is not base64 of one."""
    text = value[-_TEXT_BYTES - len(_END) : -len(_END)]
    try:
        signature = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return signature if len(signature) == SIGNATURE_BYTES and b64encode(signature) == text else None


def _unproved(key: str, value: bytes) -> ProofResult:
    """Return the result on a value without a proof. An invalid record names its owner, too."""
    try:
        record = decode_record(key, value)
    except RecordError:
        return ProofResult(public_key=_owner_key(value))
    return ProofResult(public_key=record.public_key, record=record)


def _owner_key(value: bytes) -> PublicKey | None:
    owner = owner_of(value)
    try:
        return PublicKey.parse(owner[0]) if owner else None
    except ValueError:
        return None
