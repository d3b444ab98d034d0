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

from skbackprop._files import Lock, Locked, OneAtATime, write_atomically

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
from skbackprop._files import Lock, Locked, OneAtATime, write_atomically
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


@POSIX
def test_nobody_reads_a_private_file_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, modes = tmp_path / "model", []
    path.touch()
    path.chmod(0o600)

    def look(descriptor: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))

    def pieces() -> Any:
        modes.extend(
            stat.S_IMODE(each.stat().st_mode) for each in tmp_path.glob(".*-tmp")
        )
        yield b"secret"

    monkeypatch.setattr(os, "fsync", look)
    write_atomically(path, pieces())
    # Of the file twice, and of its folder.
    assert modes == [0o600, 0o600, stat.S_IMODE(tmp_path.stat().st_mode)]


def test_what_a_killed_process_has_left_goes(tmp_path: Path) -> None:
    path, beside = tmp_path / "model", tmp_path / "model.tmp"
    beside.write_bytes(b"half")
    write_atomically(path, [b"new"], str(beside))
    assert path.read_bytes() == b"new" and names(tmp_path) == {"model"}


@pytest.mark.parametrize("path", ["", b""])
def test_an_empty_path_is_refused(path: Any) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        write_atomically(path, [b""])


def test_a_path_of_bytes_is_one(tmp_path: Path) -> None:
    write_atomically(os.fsencode(tmp_path / "model"), [b"x"])
    assert names(tmp_path) == {"model"}


# Locks ------------------------------------------------------------------------


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    one, other = Lock(path), Lock(path)
    one.acquire()
    with pytest.raises(Locked):
        other.acquire()
    other.release()  # of nothing
    program = f"""
from skbackprop._files import Lock, Locked
try:
    Lock({path!r}).acquire()
except Locked:
    print("locked")
"""
    command = [sys.executable, "-c", program]
    assert subprocess.check_output(command, cwd=tmp_path).strip() == b"locked"
    one.release()
    other.acquire()
    other.release()
    assert names(tmp_path) == set()
    assert subprocess.check_output(command, cwd=tmp_path).strip() == b""


@POSIX
def test_two_names_of_a_file_are_one_lock(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    one = Lock(str(tmp_path / "there" / "lock"))
    one.acquire()
    with pytest.raises(Locked):
        Lock(str(tmp_path / "link" / "lock")).acquire()
    one.release()


def test_a_lock_that_is_half_taken_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "lock")
    lock = Lock(path)

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(os.path, "samestat", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lock.acquire()
    monkeypatch.undo()
    lock.release()
    other = Lock(path)
    other.acquire()
    other.release()


@POSIX
def test_a_fork_does_not_hold_the_lock(tmp_path: Path) -> None:
    """A child that outlives its parent, as the workers of a scorer may."""
    path = str(tmp_path / "lock")
    program = f"""
import os, sys, time
from skbackprop._files import Lock
lock = Lock({path!r})
lock.acquire()
if os.fork() == 0:
    os.close(1)
    time.sleep(60)
    os._exit(0)
print("held", flush=True)
os.kill(os.getpid(), 9)
"""
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path)
    with process.stdout:
        assert process.stdout.readline().strip() == b"held"
    process.wait()
    lock = Lock(path)
    lock.acquire()
    lock.release()


# A thread that writes ---------------------------------------------------------


def test_calls_are_made_one_after_the_other() -> None:
    made: list[int] = []
    writer = OneAtATime()
    writer.start()
    for n in range(50):
        writer.ask(lambda n=n: made.append(n))
    writer.finish()
    assert made == [*range(50)] and writer.failure is None


def test_the_first_failure_is_kept() -> None:
    writer = OneAtATime()
    writer.start()
    for error in ValueError("one"), MemoryError("two"):

        def fail(error: Exception = error) -> None:
            raise error

        writer.ask(fail)
    writer.finish()
    assert str(writer.failure) == "one"


def test_an_interrupt_waits_for_the_last_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is raised then."""
    writer, made, interrupted = OneAtATime(), [], []
    writer.start()
    real = writer._thread.join

    def join(timeout: float) -> None:
        if not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        real(timeout)

    monkeypatch.setattr(writer._thread, "join", join)
    writer.ask(lambda: (time.sleep(0.2), made.append(1)))
    with pytest.raises(KeyboardInterrupt):
        writer.finish()
    assert made == [1] and not writer._thread.is_alive()
