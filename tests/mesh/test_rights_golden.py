"""The bytes of a record with a right. Written once; a change that reads or writes them differently breaks meshes."""

from msgspec.structs import replace

from ikto_core.mesh.proofs import judge, signed_value
from ikto_core.mesh.rights import Authority, Right, right_message
from ikto_core.values.nkeys import sign_nkey
from tests.mesh.test_proofs import BUCKET, FIRST_KEY, GOLDEN, GOLDEN_RECORD, NONCE

ACCOUNT = "ABXHUHG5FGYLPD6RHL2MKWMP572O6KUXCZXDZJXS4T57ZTMAKBN7DAQI"
USER = "UCFIOX77D2ZYIUKXPLGVV7XEAVCWK2G5PSE6BEEGHICVPPD26SPRO5B3"
USER_SEED = "SUAAMBQGAYDAMBQGAYDAMBQGAYDAMBQGAYDAMBQGAYDAMBQGAYDAMBUCFM"  # of 32 bytes 6
JWT = (
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiJ4IiwiaWF0IjoxNzAwMDAwMDAwLCJpc3MiOiJBQlhIV"
    "UhHNUZHWUxQRDZSSEwyTUtXTVA1NzJPNktVWENaWERaSlhTNFQ1N1pUTUFLQk43REFRSSIsIm5hbWUiOiJub2RlLWEiLCJzdWIiO"
    "iJVQ0ZJT1g3N0QyWllJVUtYUExHVlY3WEVBVkNXSzJHNVBTRTZCRUVHSElDVlBQRDI2U1BSTzVCMyIsIm5hdHMiOnsicHViIjp7I"
    "mFsbG93IjpbIiRLVi5pa3RvLW1lc2gucGVlcnMuTVRBdU1DNHdMakUyTHpJNCJdfSwic3ViIjp7fSwic3VicyI6LTEsImRhdGEiO"
    "i0xLCJwYXlsb2FkIjotMSwidHlwZSI6InVzZXIiLCJ2ZXJzaW9uIjoyfX0.mhdF10ZvF5s-kuHxgHum4Puvb4MJCpn2OLe8YRr5K"
    "g48DTISdWca4Ye-dcd034XLyqJuhtuSmRVUACDIU0D1CA"
)
SIGNATURE = "t50tGOOA1HTK4NcBQgF40MWw6JR0DpPoNQlCtRJRI4XjRnFFXgPyDamL94i314doqmuMRHrqC+FxL9vojEtdAQ=="
PROOF = "9jQmCmgglbmHbgDscOZ6S4h2Mfp4i7u3SLUYw7PEAMBtYn4OYsFFeggE9KDN6wygAgeA4DPdelJaO0z0eJO4AA=="
VALUE = GOLDEN[: GOLDEN.index(b',"proof":')] + (
    f',"user_jwt":"{JWT}","user_signature":"{SIGNATURE}","proof":"{PROOF}"}}'.encode()
)


def test_the_golden_value_is_written_and_verified() -> None:
    record = replace(GOLDEN_RECORD, user_jwt=JWT)
    message = right_message(BUCKET, record.key, record.public_key, record.serial)
    assert signed_value(record, FIRST_KEY, BUCKET, NONCE, sign_nkey(USER_SEED, message)) == VALUE
    proof = judge(BUCKET, record.key, VALUE, authority=Authority(ACCOUNT)).proof
    assert proof
    assert proof.right == Right(user=USER, issued_s=1.7e9, expires_s=0)
