"""Files are written whole, or not at all.

Answers for: _files.py.
"""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from skbackprop._files import write_atomically

POSIX = pytest.mark.skipif(os.name != "posix", reason="links and modes are of POSIX")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write_atomically(path, [b"one", memoryview(b" two")])
    assert path.read_bytes() == b"one two"
    write_atomically(str(path), [b"new"])
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == {"model"}


def test_what_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"old")

    def pieces() -> Any:
        yield b"n" * 100_000
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, pieces())
    assert path.read_bytes() == b"old" and names(tmp_path) == {"model"}


def test_a_full_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, [b"new"])
    assert path.read_bytes() == b"old" and names(tmp_path) == {"model"}


@POSIX
def test_links_and_permissions_stay(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "model", tmp_path / "link"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(Path("there") / "model")
    write_atomically(link, [b"new"])
    assert link.is_symlink() and target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    # A link to what is not there yet.
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "there" / "other")
    write_atomically(dangling, [b"x"])
    assert dangling.is_symlink() and (tmp_path / "there" / "other").exists()


@POSIX
def test_a_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "model", [b""])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o640


@POSIX
def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path, [b""])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        write_atomically(tmp_path / "pipe", [b""])
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "missing" / "model", [b""])


@POSIX
def test_a_process_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    """SIGTERM and SIGKILL while one file after another is written."""
    path = tmp_path / "model"
    program = f"""
from skbackprop._files import write_atomically
while True:
    for letter in b"ab":
        write_atomically({str(path)!r}, [bytes([letter]) * 50_000] * 20)
"""
    for how in signal.SIGTERM, signal.SIGKILL:
        for pause in 0.001, 0.003, 0.01:
            process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path)
            deadline = time.monotonic() + 60
            while not path.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(pause)
            process.send_signal(how)
            process.wait()
            data = path.read_bytes()
            assert len(data) == 1_000_000 and len(set(data)) == 1
