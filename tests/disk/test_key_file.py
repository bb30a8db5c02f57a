"""A private key file is accessible to its owner only, is never overwritten, and is never shown in an error."""

import os
import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.disk.access import Fault
from ikto_core.disk.key_file import key_warning, load_private_key, write_private_key
from ikto_core.errors import ConfigError
from ikto_core.lab.unprivileged import as_nobody
from ikto_core.values.keys import PrivateKey

KEY = PrivateKey(bytes(range(32)))


def make_key_file(directory: Path, content: bytes, mode: int = 0o600) -> Path:
    path = directory / "private.key"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def error_of(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_private_key(path)
    return caught.value


def test_a_written_key_is_one_line_of_base64_and_loads_again(tmp_path: Path) -> None:
    path = tmp_path / "private.key"
    write_private_key(path, KEY)
    assert path.read_text() == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    assert load_private_key(path) == KEY.clamped()


def test_a_key_file_is_written_with_mode_0600(tmp_path: Path) -> None:
    path = tmp_path / "private.key"
    write_private_key(path, KEY)
    assert path.stat().st_mode & 0o7777 == 0o600


def test_a_key_without_a_final_newline_or_with_a_carriage_return_loads(tmp_path: Path) -> None:
    for end in (b"", b"\r\n"):
        assert load_private_key(make_key_file(tmp_path, KEY.text.encode() + end)) == KEY.clamped()


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_key_file_that_others_can_change_is_refused_with_the_chmod_command(tmp_path: Path, mode: int) -> None:
    path = make_key_file(tmp_path, KEY.text.encode(), mode)
    error = error_of(path)
    assert str(error) == f"{path}: has mode {mode:04o}, which lets other users change it"
    assert error.hint == f"chmod 600 {path}"
    assert key_warning(path, mode, os.geteuid()) is None, "it is said once"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_file_that_others_can_read_loads_as_in_0_3_0_with_a_warning(tmp_path: Path, mode: int) -> None:
    path = make_key_file(tmp_path, KEY.text.encode(), mode)
    assert load_private_key(path) == KEY.clamped()
    warning = Fault(f"has mode {mode:04o}, which lets other users read it", f"chmod 600 {path}")
    assert key_warning(path, mode, os.geteuid()) == warning
    assert key_warning(path, 0o600, os.geteuid()) is None


UNCANONICAL = KEY.text.encode().replace(b"8=", b"9=")  # the same 32 bytes


@pytest.mark.parametrize(
    "content",
    [
        b"\n \t" + KEY.text.encode() + b"\v\f \n\n",
        KEY.text.encode()[:20] + b"\r\n" + KEY.text.encode()[20:],
        UNCANONICAL,
    ],
)
def test_whitespace_around_a_key_and_forms_that_0_3_0_accepts_do_not_matter(tmp_path: Path, content: bytes) -> None:
    assert load_private_key(make_key_file(tmp_path, content)) == KEY.clamped()


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
def test_a_key_file_accessible_to_its_owner_only_loads(tmp_path: Path, mode: int) -> None:
    assert load_private_key(make_key_file(tmp_path, KEY.text.encode(), mode)) == KEY.clamped()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        KEY.text.encode()[:20],
        KEY.text.encode()[:40] + b"====",
        b"c2hvcnQ=",
        b"not base64 at all, but of the right length..",
        b"\xff" * 44,
        KEY.text.encode() * 2,
        b"A" * 43 + b"=",  # all zero: the kernel reads it as "no key"
        b"A" * 5000,
    ],
    ids=lambda content: repr(content[:12]),
)
def test_invalid_content_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    path = make_key_file(tmp_path, content)
    error = error_of(path)
    assert str(error).startswith(f"{path}: ")
    assert content[:8] not in f"{error} {error.hint}".encode() or not content
    assert error.__cause__ is None


@given(content=st.binary(max_size=100))
def test_any_content_is_a_key_or_a_config_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = make_key_file(tmp_path_factory.getbasetemp(), content)
    try:
        text = str(load_private_key(path))
    except ConfigError as error:
        text = str(error)
    assert text.isprintable()


def test_a_missing_file_is_reported_with_the_command_that_creates_it(tmp_path: Path) -> None:
    path = tmp_path / "private.key"
    error = error_of(path)
    assert str(error) == f"{path}: there is no such file"
    assert error.hint == f"create it: ikto key generate {path}"


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert str(error_of(tmp_path)) == f"{tmp_path}: is a directory, not a file"


def test_a_file_without_read_permission_is_reported(tmp_path: Path) -> None:
    path = make_key_file(tmp_path, KEY.text.encode(), 0)
    with as_nobody():
        assert "permission denied" in str(error_of(path))


@pytest.mark.parametrize("dangling", [False, True])
def test_an_existing_file_or_symlink_is_not_overwritten(tmp_path: Path, dangling: bool) -> None:
    path, elsewhere = tmp_path / "private.key", tmp_path / "elsewhere"
    if dangling:
        path.symlink_to(elsewhere)
    else:
        path.write_text("precious")
    with pytest.raises(ConfigError, match="already exists and is not overwritten"):
        write_private_key(path, KEY)
    assert not elsewhere.exists()
    assert dangling or path.read_text() == "precious"


def test_a_missing_directory_is_reported_with_the_command_that_creates_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no directory") as caught:
        write_private_key(tmp_path / "none" / "private.key", KEY)
    assert caught.value.hint == f"create it: mkdir -p {tmp_path}/none"


def test_a_directory_without_write_permission_is_reported(tmp_path: Path) -> None:
    with as_nobody(), pytest.raises(ConfigError, match="can't be written: Permission denied"):
        write_private_key(Path("/") / tmp_path.name, KEY)


def test_a_write_that_fails_leaves_no_file(tmp_path: Path) -> None:
    """A full disk, here simulated by a file size limit, must not leave a truncated key file."""
    path = tmp_path / "private.key"
    program = (
        "import pathlib, resource, signal, sys\n"
        "from ikto_core.errors import ConfigError\n"
        "from ikto_core.disk.key_file import PrivateKey, write_private_key\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "try:\n"
        "    write_private_key(pathlib.Path(sys.argv[1]), PrivateKey.generate())\n"
        "except ConfigError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert done.stdout == f"{path}: can't be written: File too large\n"
    assert not path.exists()


@pytest.mark.skipif(which("wg") is None, reason="needs the wg program")
def test_wg_reads_the_written_file(tmp_path: Path) -> None:
    path = tmp_path / "private.key"
    write_private_key(path, KEY)
    done = subprocess.run(["wg", "pubkey"], input=path.read_text(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == KEY.public().text
