"""PyNaCl and python-wireguard derive the same keys, and python-wireguard is used if it works."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings

from ikto_core.testing.strategies import private_keys
from ikto_core.values import keys
from ikto_core.values.keys import PrivateKey, PublicKey
from ikto_core.values.x25519 import X25519, PyNaClX25519, PythonWireGuardX25519, load_x25519

# RFC 7748: Alice and Bob of section 6.1, and the first iteration of section 5.2
VECTORS = [
    (
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    ),
    (
        "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    ),
    (
        "0900000000000000000000000000000000000000000000000000000000000000",
        "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
    ),
]


def python_wireguard_x25519() -> PythonWireGuardX25519:
    pytest.importorskip("python_wireguard", reason="python-wireguard is not installed", exc_type=ImportError)
    return PythonWireGuardX25519()


@pytest.fixture(params=[PyNaClX25519, python_wireguard_x25519], ids=["PyNaCl", "python-wireguard"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> X25519:
    """The X25519 implementation that keys use."""
    used: X25519 = request.param()
    monkeypatch.setattr(keys, "load_x25519", lambda: used)
    return used


@pytest.mark.usefixtures("implementation")
@pytest.mark.parametrize(("private", "public"), VECTORS)
def test_public_keys_match_the_vectors_of_rfc_7748(private: str, public: str) -> None:
    assert PrivateKey(bytes.fromhex(private)).public().hex() == public


@pytest.mark.usefixtures("implementation")
def test_a_generated_key_is_clamped_and_new() -> None:
    generated = {PrivateKey.generate() for _ in range(100)}
    assert len(generated) == 100
    for key in generated:
        assert key[0] & 7 == 0
        assert key[31] & 0b1100_0000 == 0b0100_0000
        assert key.public() == PublicKey(PyNaClX25519().public(key))


@pytest.mark.usefixtures("implementation")
@pytest.mark.skipif(not shutil.which("wg"), reason="wg is not installed")
def test_wg_derives_the_same_public_key() -> None:
    for key in (PrivateKey.generate(), *(PrivateKey(bytes.fromhex(private)) for private, _ in VECTORS)):
        printed = subprocess.run(("wg", "pubkey"), input=key.text, check=True, capture_output=True, text=True).stdout
        assert key.public().text == printed.strip()


@settings(max_examples=50)
@given(key=private_keys())
def test_both_implementations_derive_the_same_public_key(key: PrivateKey) -> None:
    assert python_wireguard_x25519().public(key) == PyNaClX25519().public(key)


def test_an_all_zero_key_from_python_wireguard_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    implementation = python_wireguard_x25519()
    zero = implementation._key("!" * 44)
    monkeypatch.setattr(implementation._key, "key_pair", lambda: (zero, zero))
    with pytest.raises(ValueError, match="all-zero key"):
        implementation.generate()


def test_python_wireguard_is_used_if_it_works() -> None:
    python_wireguard_x25519()
    assert isinstance(load_x25519(), PythonWireGuardX25519)


BROKEN = {
    "is absent": "raise ModuleNotFoundError('No module named python_wireguard', name='python_wireguard')",
    "is for another processor": "import ctypes; ctypes.CDLL(__file__)",
    "is another package": "",
    "derives wrongly": """
from types import SimpleNamespace
from base64 import b64encode, b64decode
class Key:
    def __init__(self, text="AAAA"):
        self.text = text
    def __str__(self):
        return self.text
    def as_bytes(self):
        return SimpleNamespace(raw=bytes([1] * 33))
wireguard = SimpleNamespace(c_library=SimpleNamespace(generate_public_key=lambda private, public: None))
""",
}


@pytest.mark.parametrize("program", BROKEN.values(), ids=BROKEN.keys())
def test_pynacl_is_used_if_python_wireguard_does_not_work(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "python_wireguard.py").write_text(program)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "python_wireguard"]:
        monkeypatch.delitem(sys.modules, name)
    found = load_x25519.__wrapped__()
    monkeypatch.delitem(sys.modules, "python_wireguard", raising=False)
    assert isinstance(found, PyNaClX25519)
