"""A private key's file is its owner's alone, is never overwritten, and never shows in an error."""

import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.disk.key_file import load_private_key, write_private_key
from ikto_core.errors import ConfigError
from ikto_core.lab.unprivileged import as_nobody
from ikto_core.values.keys import PrivateKey

KEY = PrivateKey(bytes(range(32)))


def key_file(directory: Path, content: bytes, mode: int = 0o600) -> Path:
    path = directory / "private.key"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def error_of(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_private_key(path)
    return caught.value


def test_a_key_written_is_read_again_from_one_line_of_base64(tmp_path: Path) -> None:
    path = tmp_path / "private.key"
    write_private_key(path, KEY)
    assert path.read_text() == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    assert load_private_key(path) == KEY.clamped()


def test_a_key_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "private.key"
    write_private_key(path, KEY)
    assert path.stat().st_mode & 0o7777 == 0o600


def test_a_key_without_a_last_newline_or_with_a_carriage_return_is_read(tmp_path: Path) -> None:
    for end in (b"", b"\r\n"):
        assert load_private_key(key_file(tmp_path, KEY.text.encode() + end)) == KEY.clamped()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602])
def test_a_key_open_to_others_is_refused_with_the_command_that_closes_it(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path, KEY.text.encode(), mode)
    error = error_of(path)
    assert str(error) == f"{path}: has mode {mode:04o}, which opens the private key to others"
    assert error.hint == f"chmod 600 {path}"


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
def test_a_key_open_to_its_owner_alone_is_taken(tmp_path: Path, mode: int) -> None:
    assert load_private_key(key_file(tmp_path, KEY.text.encode(), mode)) == KEY.clamped()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        KEY.text.encode()[:20],
        KEY.text.encode()[:40] + b"====",
        b"c2hvcnQ=",
        b"not base64 at all, but of a length like it..",
        b"\xff" * 44,
        KEY.text.encode() * 2,
        b"A" * 43 + b"=",  # all zero: to the kernel it means "no key"
        b"A" * 5000,
    ],
    ids=lambda content: repr(content[:12]),
)
def test_what_is_no_key_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    path = key_file(tmp_path, content)
    error = error_of(path)
    assert str(error).startswith(f"{path}: ")
    assert content[:8] not in f"{error} {error.hint}".encode() or not content
    assert error.__cause__ is None


@given(content=st.binary(max_size=100))
def test_any_file_is_a_key_or_a_config_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = key_file(tmp_path_factory.getbasetemp(), content)
    try:
        told = str(load_private_key(path))
    except ConfigError as error:
        told = str(error)
    assert told.isprintable()


def test_a_missing_key_is_told_with_the_command_that_makes_one(tmp_path: Path) -> None:
    path = tmp_path / "private.key"
    error = error_of(path)
    assert str(error) == f"{path}: there is no such file"
    assert error.hint == f"`ikto key generate {path}` makes one"


def test_a_directory_is_no_key(tmp_path: Path) -> None:
    assert str(error_of(tmp_path)) == f"{tmp_path}: is a directory, not a file"


def test_a_key_that_may_not_be_read_is_told_as_such(tmp_path: Path) -> None:
    path = key_file(tmp_path, KEY.text.encode(), 0)
    with as_nobody():
        assert "permission denied" in str(error_of(path))


@pytest.mark.parametrize("dangling", [False, True])
def test_whatever_has_the_name_already_is_not_touched(tmp_path: Path, dangling: bool) -> None:
    path, elsewhere = tmp_path / "private.key", tmp_path / "elsewhere"
    if dangling:
        path.symlink_to(elsewhere)
    else:
        path.write_text("precious")
    with pytest.raises(ConfigError, match="exists already, and is not overwritten"):
        write_private_key(path, KEY)
    assert not elsewhere.exists()
    assert dangling or path.read_text() == "precious"


def test_a_missing_directory_is_told_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no directory") as caught:
        write_private_key(tmp_path / "none" / "private.key", KEY)
    assert caught.value.hint == f"create it: mkdir -p {tmp_path}/none"


def test_a_directory_that_may_not_be_written_is_told_as_such(tmp_path: Path) -> None:
    with as_nobody(), pytest.raises(ConfigError, match="can't be written: Permission denied"):
        write_private_key(Path("/") / tmp_path.name, KEY)


def test_a_write_that_fails_leaves_no_file(tmp_path: Path) -> None:
    """A key cut short by a full disk must not be taken for a key later: a file size limit stands for the disk."""
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
def test_wg_reads_the_file_that_we_write(tmp_path: Path) -> None:
    path = tmp_path / "private.key"
    write_private_key(path, KEY)
    done = subprocess.run(["wg", "pubkey"], input=path.read_text(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == KEY.public().text
