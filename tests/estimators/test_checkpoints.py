"""A fit that was cut off goes on from its checkpoint, and ends with the same bits.

SKBACKPROP_KILLS in the environment says how often each fit is killed: 2 unless told.

Answers for: _checkpoint.py, _checkpoint_file.py, _call.py, _fingerprint.py.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import (
    LABELS,
    MODELS,
    NUMBERS,
    X,
    assert_the_same,
    cut_off,
    target,
    watched,
)
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV

from skbackprop import (
    Checkpoint,
)
from skbackprop._checkpoint_file import read_checkpoint
from skbackprop._files import write_atomically

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fit.checkpoint"


# Going on ---------------------------------------------------------------------


@pytest.mark.parametrize("epochs", [1, 2, 5])
@pytest.mark.parametrize("name", MODELS)
def test_a_fit_goes_on_with_the_same_bits(name: str, epochs: int, path: Path) -> None:
    model = MODELS[name](random_state=0)
    y = target(model)
    whole = MODELS[name](random_state=0).fit(X, y)
    cut_off(model, epochs, X, y, checkpoint=Checkpoint(path, every=1))
    assert not hasattr(model, "n_iter_")
    again = MODELS[name](random_state=0)
    assert_the_same(again.fit(X, y, checkpoint=Checkpoint(path)), whole)
    assert sorted(each.name for each in path.parent.iterdir()) == [path.name]


@pytest.mark.parametrize("name", ["early", "bag"])
@pytest.mark.parametrize("given", ["None", "instance"])
def test_what_was_drawn_is_in_the_file(name: str, given: str, path: Path) -> None:
    def stream(seed: int) -> Any:
        if given == "None":
            np.random.seed(seed)
            return None
        return np.random.RandomState(seed)

    whole = MODELS[name](random_state=stream(1))
    whole.fit(X, target(whole))
    end = whole.random_state and whole.random_state.get_state()[1]
    model = MODELS[name](random_state=stream(1))
    cut_off(model, 2, X, target(model), checkpoint=Checkpoint(path, every=1))
    again = MODELS[name](random_state=stream(2 if given == "None" else 1))
    before = np.random.get_state()[1].copy()
    assert_the_same(again.fit(X, target(again), checkpoint=Checkpoint(path)), whole)
    if given == "instance":  # it has drawn what the whole fit has
        assert_array_equal(again.random_state.get_state()[1], end)
    assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("name", ["adam", "early", "converges", "bag"])
def test_what_has_ended_is_not_repeated(name: str, path: Path) -> None:
    model = MODELS[name](random_state=0)
    model.fit(X, target(model), checkpoint=Checkpoint(path))
    again = MODELS[name](random_state=0)
    seen: list[Any] = []
    with watched(again, lambda *args: seen.append(args)):
        again.fit(X, target(again), checkpoint=Checkpoint(path))
    assert not seen
    assert_the_same(again, model)
    anew = MODELS[name](random_state=0)
    with watched(anew, lambda *args: seen.append(args)):
        anew.fit(X, target(anew), checkpoint=Checkpoint(path, resume=False))
    assert seen
    assert_the_same(anew, model)


def test_a_finished_network_is_not_trained_again(path: Path) -> None:
    model = MODELS["bag"](random_state=0, n_jobs=1)
    cut_off(model, 4, X, NUMBERS, checkpoint=Checkpoint(path))  # the second one's first
    again = MODELS["bag"](random_state=0, n_jobs=1)
    members: list[int] = []
    with watched(again, lambda epoch: members.append(epoch.member)):
        again.fit(X, NUMBERS, checkpoint=Checkpoint(path))
    assert members == [1, 1, 2, 2, 2, 3, 3, 3]


def test_a_bag_with_data_to_validate_on_goes_on(path: Path) -> None:
    def fit(**more: Any) -> Any:
        model = MODELS["bag"](random_state=0)
        return model.fit(X, NUMBERS, X_val=X[:30], y_val=NUMBERS[:30], **more)

    whole, model = fit(), MODELS["bag"](random_state=0)
    validation = {"X_val": X[:30], "y_val": NUMBERS[:30]}
    cut_off(model, 3, X, NUMBERS, **validation, checkpoint=Checkpoint(path, every=1))
    assert_the_same(fit(checkpoint=Checkpoint(path)), whole)
    with pytest.raises(ValueError, match="y_val differs"):
        model.fit(
            X, NUMBERS, **validation | {"y_val": X[:30, 0]}, checkpoint=Checkpoint(path)
        )


def test_finished_networks_are_not_trained_for_longer(path: Path) -> None:
    model = MODELS["bag"](random_state=0, n_jobs=1)
    cut_off(model, 5, X, NUMBERS, checkpoint=Checkpoint(path, every=1))
    again = MODELS["bag"](random_state=0, n_jobs=1).set_params(max_iter=6)
    with pytest.warns(UserWarning, match="1 networks of .* finished with max_iter=3"):
        again.fit(X, NUMBERS, checkpoint=Checkpoint(path))
    assert [*map(len, again.validation_scores_)] == [3, 6, 6, 6]


def test_more_epochs_go_on(path: Path) -> None:
    whole = MODELS["adam"](random_state=0).set_params(max_iter=12).fit(X, LABELS)
    MODELS["adam"](random_state=0).fit(X, LABELS, checkpoint=Checkpoint(path))
    again = MODELS["adam"](random_state=0).set_params(max_iter=12, n_jobs=2, verbose=0)
    assert_the_same(again.fit(X, LABELS, checkpoint=Checkpoint(path)), whole)
    fewer = MODELS["adam"](random_state=0)
    with pytest.raises(ValueError, match="max_iter was 12 and is 8, which may only gr"):
        fewer.fit(X, LABELS, checkpoint=Checkpoint(path))


def test_a_bag_that_ran_out_of_time_goes_on(path: Path) -> None:
    whole = MODELS["bag"](random_state=0).fit(X, NUMBERS)
    short = MODELS["bag"](random_state=0, time_limit=1e-6)
    short.fit(X, NUMBERS, checkpoint=Checkpoint(path))
    assert short.n_networks_ == 1
    again = MODELS["bag"](random_state=0)
    assert_the_same(again.fit(X, NUMBERS, checkpoint=Checkpoint(path)), whole)


def test_an_interrupted_fit_goes_on(path: Path) -> None:
    """Ctrl-C keeps the last complete epoch, in the file too."""
    for name in "adam", "bag":
        whole = MODELS[name](random_state=0)
        whole.fit(X, target(whole))
        file = path.with_suffix(f".{name}")

        def interrupt(epoch: Any) -> None:
            if epoch.number == 2:
                signal.raise_signal(signal.SIGINT)

        model = MODELS[name](random_state=0)
        with watched(model, interrupt), pytest.warns(UserWarning, match="interrupt"):
            model.fit(X, target(model), checkpoint=Checkpoint(file))
        again = MODELS[name](random_state=0)
        assert_the_same(again.fit(X, target(again), checkpoint=Checkpoint(file)), whole)


def test_a_warm_start_goes_on(path: Path) -> None:
    def warm() -> Any:
        model = MODELS["keeps"](random_state=0)
        return model.fit(X, LABELS).set_params(max_iter=5)

    whole = warm().fit(X, LABELS)
    cut_off(model := warm(), 3, X, LABELS, checkpoint=Checkpoint(path, every=1))
    assert_the_same(model.fit(X, LABELS, checkpoint=Checkpoint(path)), whole)
    with pytest.raises(ValueError, match="the state it began with diff"):
        model.fit(X, LABELS, checkpoint=Checkpoint(path))


# When it is written -------------------------------------------------------------


def epochs_of(kept: Any) -> int:
    """How many epochs the first network has in what a file holds."""
    return len(kept["members"][0]["state"]["history"]["loss_curve"])


def epochs_in(path: Path) -> int:
    return epochs_of(read_checkpoint(path.read_bytes()))


@pytest.mark.parametrize(
    ("options", "written"),
    [
        ({"every": 1}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"every": 3}, [3, 6, 8]),
        ({"seconds": 0}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"seconds": 1e9}, [8]),
        ({"every": 5, "seconds": 1e9}, [5, 8]),
        ({}, [8]),
    ],
)
def test_it_is_written_as_often_as_asked(
    options: dict[str, Any],
    written: list[int],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[int] = []

    def write(name: str, pieces: Any, beside: str) -> None:
        write_atomically(name, pieces, beside)
        found.append(epochs_in(path))

    monkeypatch.setattr("skbackprop._checkpoint.write_atomically", write)
    model = MODELS["adam"](random_state=0)
    model.fit(X, LABELS, checkpoint=Checkpoint(path, **options))
    assert found == written


def test_training_goes_on_while_a_file_is_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And waits before the next file is."""
    epoch_two, events = threading.Event(), []

    def write(name: str, pieces: Any, beside: str) -> None:
        events.append("begins")
        assert epoch_two.wait(60)
        write_atomically(name, pieces, beside)
        events.append("ends")

    monkeypatch.setattr("skbackprop._checkpoint.write_atomically", write)
    model = MODELS["adam"](random_state=0)
    with watched(model, lambda epoch: epoch.number == 2 and epoch_two.set()):
        model.fit(X, LABELS, checkpoint=Checkpoint(path, every=2))
    assert events == ["begins", "ends"] * 4


def test_a_disk_that_is_full_stops_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = MODELS["adam"](random_state=0).fit(X, LABELS)
    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 4:  # a write is two of them: of the file, of its folder
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    model = MODELS["adam"](random_state=0)
    with pytest.warns(UserWarning, match=r"could not be written.*No space") as caught:
        model.fit(X, LABELS, checkpoint=Checkpoint(path, every=1))
    assert sum("could not be written" in str(each.message) for each in caught) == 1
    assert_the_same(model, whole)
    assert epochs_in(path) == 2
    monkeypatch.undo()
    again = MODELS["adam"](random_state=0)
    assert_the_same(again.fit(X, LABELS, checkpoint=Checkpoint(path)), whole)


def test_what_else_goes_wrong_is_told_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of another kind, and a system that has no more threads."""

    def scarce(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    def write(*_: Any) -> None:
        raise MemoryError

    model = MODELS["adam"](random_state=0)
    monkeypatch.setattr(threading.Thread, "start", scarce)
    model.fit(X, LABELS, checkpoint=Checkpoint(path, every=1))
    assert epochs_in(path) == 8
    monkeypatch.undo()
    monkeypatch.setattr("skbackprop._checkpoint.write_atomically", write)
    with pytest.warns(UserWarning, match="could not be written: MemoryError"):
        model.fit(X, LABELS, checkpoint=Checkpoint(f"{path}.2", every=1))


def test_an_interrupt_at_any_moment_is_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while a file is written: the lock goes when it is, and nothing is lost."""
    real, writing = write_atomically, threading.Event()

    def slow(name: str, pieces: Any, beside: str) -> None:
        writing.set()
        time.sleep(0.3)
        real(name, pieces, beside)

    def interrupt(epoch: Any) -> None:
        if epoch.number == 3:
            assert writing.wait(60)
            signal.setitimer(signal.ITIMER_REAL, 0.05)

    monkeypatch.setattr("skbackprop._checkpoint.write_atomically", slow)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        model = MODELS["adam"](random_state=0)
        with watched(model, interrupt), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model.fit(X, LABELS, checkpoint=Checkpoint(path, every=1))
            except KeyboardInterrupt:
                pass
    finally:
        signal.signal(signal.SIGALRM, before)
    # Nobody writes any more, and nobody holds the lock.
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    monkeypatch.undo()
    whole, again = (MODELS["adam"](random_state=0) for _ in range(2))
    assert_the_same(
        again.fit(X, LABELS, checkpoint=Checkpoint(path)), whole.fit(X, LABELS)
    )


def test_a_folder_that_may_not_be_written_stops_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def closed(name: Any, flags: int, *mode: int) -> int:
        if str(path.parent) in str(name) and flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied", name)
        return real(name, flags, *mode)

    monkeypatch.setattr(os, "open", closed)
    model = MODELS["adam"](random_state=0)
    with pytest.warns(UserWarning, match="could not be written: .*Permission denied"):
        model.fit(X, LABELS, checkpoint=Checkpoint(path, every=1))
    assert_the_same(model, MODELS["adam"](random_state=0).fit(X, LABELS))


# Several fits -------------------------------------------------------------------


def test_two_fits_do_not_write_one_file(path: Path) -> None:
    inner: list[Exception] = []

    def fit_another(*_: Any) -> None:
        def run() -> None:
            try:
                MODELS["adam"](random_state=0).fit(
                    X, LABELS, checkpoint=Checkpoint(path)
                )
            except RuntimeError as error:
                inner.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

    model = MODELS["adam"](random_state=0).set_params(max_iter=1)
    with watched(model, fit_another):
        model.fit(X, LABELS, checkpoint=Checkpoint(path))
    assert len(inner) == 1 and "Another fit is writing the checkpoint" in str(inner[0])
    model.fit(X, LABELS, checkpoint=Checkpoint(path))  # the lock is free again
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_has_a_file_for_each_fit(n_jobs: int, tmp_path: Path) -> None:
    search = GridSearchCV(
        MODELS["adam"](random_state=0), {"alpha": [0.1, 1.0]}, cv=2, n_jobs=n_jobs
    )
    search.fit(X, LABELS, checkpoint=Checkpoint(tmp_path))
    files = {each: each.stat().st_mtime_ns for each in tmp_path.iterdir()}
    assert len(files) == 5  # four fits, and the refit
    scores = search.cv_results_["mean_test_score"]
    search.fit(X, LABELS, checkpoint=Checkpoint(tmp_path))
    assert_array_equal(search.cv_results_["mean_test_score"], scores)
    assert {each for each in tmp_path.iterdir()} == set(files)


# Killed -------------------------------------------------------------------------


PROGRAM = """
import sys, warnings
warnings.simplefilter("ignore")
import numpy as np
from skbackprop import *
rng = np.random.RandomState(0)
X = rng.normal(size=(3000, 20))
y = X[:, 0] * X[:, 1] + X[:, 2]
if sys.argv[1] == "network":
    model = BackpropMLPClassifier(
        (64, 64), max_iter=40, random_state=0, early_stopping=True, tol=0,
        n_iter_no_change=40, learning_rate="cosine", dropout=0.1, batch_size=50,
    )
    y = y > 0
else:
    model = TabularMLPRegressor(
        n_folds=4, max_iter=5, random_state=0, n_jobs=2, hidden_layer_sizes=(64, 64)
    )
checkpoint = None if sys.argv[2] == "-" else Checkpoint(sys.argv[2], every=1)
print("begins", flush=True)
model.fit(X, y, checkpoint=checkpoint)
predict = getattr(model, "predict_proba", model.predict)
np.save(sys.argv[3], predict(X))
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX")
@pytest.mark.parametrize("which", ["network", "bag"])
def test_killed_at_any_moment(which: str, tmp_path: Path) -> None:
    kills = int(os.environ.get("SKBACKPROP_KILLS", "2"))

    def start(checkpoint: str, out: str) -> Any:
        command = [sys.executable, "-c", PROGRAM, which, checkpoint, out]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path)
        with process.stdout:
            assert process.stdout.readline().strip() == b"begins"
        return process

    began = time.monotonic()
    assert start("-", "whole.npy").wait() == 0
    took = time.monotonic() - began
    whole = np.load(tmp_path / "whole.npy")
    draw = random.Random(kills)
    for number in range(kills):
        name, out, killed = f"{number}.checkpoint", f"{number}.npy", 0
        # Killed and begun again, until the pauses are longer than what is left.
        for attempt in range(4):
            process = start(name, out)
            try:
                process.wait(draw.uniform(0, took) if attempt < 3 else None)
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed += 1
        assert process.returncode == 0
        assert_array_equal(np.load(tmp_path / out), whole)
