"""What the engine refuses, where, and that nothing is written before.

Answers for: core/engine.pyx, core/kernels.pxi, core/team.pyx, core/table.pxi,
core/workspace.pxi, core/trainer.pxi.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from doors import CLASSES, DENSE, DOORS, DTYPES, GIVEN, READERS, SPARSE, Arguments
from numpy.typing import NDArray

from skbackprop._evaluation import make_table, value_and_gradient
from skbackprop._layers import make_topology
from skbackprop.core import OWN_KERNELS, engine_of
from skbackprop.core.embeddings import Embeddings
from skbackprop.core.losses import Loss
from skbackprop.core.team import ThreadTeam
from skbackprop.core.topology import Topology

Array = NDArray[Any]


def ones(*shape: int) -> Callable[[type], Array]:
    return lambda dtype: np.ones(shape, dtype)


def of(kind: type, *values: Any) -> Callable[[type], Array]:
    return lambda _: np.array(values, kind)


OVER = 2**31

REFUSED: list[tuple[str, dict[str, bool], dict[str, Any], str]] = [
    # The rows
    ("Table", DENSE, {"X": ones(5, 3)}, "targets for 6 rows were given with 5 rows"),
    ("Table", DENSE, {"Y": ones(5, 2)}, "targets for 5 rows were given with 6 rows"),
    ("Table", DENSE, {"Y": ones(7, 2)}, "targets for 7 rows"),
    ("Table", SPARSE, {"Y": ones(5, 2)}, "targets for 5 rows"),
    ("Table", CLASSES, {"labels": of(np.intc, *[0] * 5)}, "targets for 5 rows"),
    ("Table", CLASSES, {"labels": of(np.intc, *[0] * 7)}, "targets for 7 rows"),
    ("Table", DENSE, {"sample_weight": ones(5)}, "sample_weight must have length 6"),
    ("Table", DENSE, {"sample_weight": ones(7)}, "sample_weight must have length 6"),
    ("Table", SPARSE, {"indptr": of(np.longlong)}, "indptr must begin with 0"),
    ("Table", SPARSE, {"indptr": of(np.longlong, *range(1, 8))}, "begin with 0"),
    ("Table", SPARSE, {"indptr": of(np.longlong, 0, 2, 1, 3, 4, 5, 6)}, "decrease"),
    ("Table", SPARSE, {"indptr": of(np.longlong, 0, -1, 2, 3, 4, 5, 6)}, "decrease"),
    ("Table", SPARSE, {"indptr": of(np.longlong, 0, 1, 2, 3, 4, 5, 7)}, "as long as"),
    ("Table", SPARSE, {"data": ones(5)}, "data and indices must be as long as"),
    ("Table", SPARSE, {"indices": of(np.intc, *[0] * 5)}, "as long as"),
    # The network
    ("Workspace", DENSE, {"theta": ones(25)}, "theta must have length 26"),
    ("Workspace", DENSE, {"theta": ones(27)}, "theta must have length 26"),
    ("Workspace", DENSE, {"theta": ones(0)}, "theta must have length 26"),
    ("Workspace", DENSE, {"capacity": OVER}, "block of 2147483648 rows is over BLAS's"),
    ("Workspace", DENSE, {"capacity": -1}, "block of -1 rows"),
    ("predict_few", DENSE, {"theta": ones(25)}, "theta must have length 26"),
    ("l2_and_grad", DENSE, {"theta": ones(25)}, "theta and grad must have length 26"),
    # Both
    ("predict", DENSE, {"X": ones(6, 2)}, "X must have 3 columns"),
    ("predict", SPARSE, {"p": 4}, "X must have 3 columns"),
    ("predict", DENSE, {"for_sparse": True}, "workspace is for sparse=True"),
    ("predict", SPARSE, {"for_sparse": False}, "workspace is for sparse=False"),
    ("predict", DENSE, {"capacity": 3}, "4 rows are over the workspace's 3"),
    ("predict", SPARSE, {"capacity": 3}, "4 rows are over the workspace's 3"),
    ("predict", DENSE, {"start": -1}, "rows from -1 to 5 are not within 6 rows"),
    ("predict", DENSE, {"start": 6}, "rows from 6 to 5"),
    ("predict", DENSE, {"stop": 7}, "rows from 1 to 7"),
    ("predict", SPARSE, {"stop": 7}, "rows from 1 to 7"),
    ("predict", DENSE, {"order": of(np.intp, *[0] * 4)}, "not within 4 rows"),
    ("predict", DENSE, {"order": of(np.intp, 0, 6, 1, 2, 3)}, "row 6 is not one of 6"),
    ("predict", SPARSE, {"order": of(np.intp, 0, 1, 2, 3, -1)}, "row -1 is not one of"),
    ("predict", DENSE, {"out": ones(7)}, "out must have 8 elements"),
    ("predict", DENSE, {"out": ones(9)}, "out must have 8 elements"),
    ("predict_few", DENSE, {"few": ones(4, 2)}, "X must have rows, and 3 columns"),
    ("predict_few", DENSE, {"few": ones(0, 3)}, "X must have rows, and 3 columns"),
    ("predict_few", DENSE, {"few_out": ones(3, 2)}, "out must have shape"),
    ("predict_few", DENSE, {"few_out": ones(4, 1)}, "out must have shape"),
    ("loss_and_grad", DENSE, {"X": ones(6, 4)}, "X must have 3 columns"),
    ("loss_and_grad", DENSE, {"Y": ones(6, 3)}, "Y must have 2 columns"),
    ("loss_and_grad", DENSE, {"Y": None}, "Y must have 2 columns"),
    ("loss_and_grad", DENSE, {"Y": ones(0, 2)}, "targets for 0 rows"),
    ("loss_and_grad", CLASSES, {"labels": None}, "targets for 0 rows"),
    ("loss_and_grad", CLASSES, {"labels": of(np.intc, 0, 0, 2, 0, 0, 0)}, "label 2 is"),
    ("loss_and_grad", CLASSES, {"labels": of(np.intc, 0, 0, 0, 0, 0, -1)}, "label -1"),
    ("loss_and_grad", DENSE, {"for_sparse": True}, "workspace is for sparse=True"),
    ("loss_and_grad", DENSE, {"backward": False}, "backward=False"),
    ("loss_and_grad", DENSE, {"capacity": 3}, "4 rows are over the workspace's 3"),
    ("loss_and_grad", SPARSE, {"capacity": 3}, "4 rows are over the workspace's 3"),
    ("loss_and_grad", CLASSES, {"capacity": 3}, "4 rows are over the workspace's 3"),
    ("loss_and_grad", DENSE, {"start": 6}, "rows from 6 to 5"),
    ("loss_and_grad", DENSE, {"stop": 7}, "rows from 1 to 7"),
    ("loss_and_grad", DENSE, {"order": of(np.intp, 0, 1, 2, 3, OVER)}, "row 21474836"),
    ("loss_and_grad", DENSE, {"grad": ones(25)}, "grad must have length 26"),
    ("loss_and_grad", DENSE, {"grad": ones(0)}, "grad must have length 26"),
    ("loss_and_grad", DENSE, {"dX": ones(11)}, "dX must have 12 elements"),
    ("loss_and_grad", DENSE, {"dX": ones(13)}, "dX must have 12 elements"),
    ("loss_and_grad", DENSE, {"grad": None}, "dX must have .* beside a grad"),
    ("loss_and_grad", DENSE, {"input_gradient": False}, "not for dL/dX"),
    ("loss_and_grad", DENSE, {"thread": 1}, "thread 1 is not one of 1"),
    ("loss_and_grad", DENSE, {"thread": -1}, "thread -1 is not one of 1"),
    ("l2_and_grad", DENSE, {"grad": ones(27)}, "theta and grad must have length 26"),
    # A training
    ("Trainer", DENSE, {"X": ones(6, 4)}, "X must have 3 columns"),
    ("Trainer", DENSE, {"Y": ones(6, 3)}, "Y must have 2 columns"),
    ("Trainer", DENSE, {"Y": None}, "Y must have 2 columns"),
    ("Trainer", CLASSES, {"labels": None}, "targets for 0 rows"),
    ("Trainer", CLASSES, {"labels": of(np.intc, 0, 0, 0, 2, 0, 0)}, "label 2 is not"),
    ("Trainer", DENSE, {"for_sparse": True}, "workspace is for sparse=True"),
    ("Trainer", SPARSE, {"for_sparse": False}, "workspace is for sparse=False"),
    ("Trainer", DENSE, {"backward": False}, "backward=False"),
    ("Trainer", DENSE, {"moments": ones(1, 26)}, r"moments must have shape \(2, 26\)"),
    ("Trainer", DENSE, {"moments": ones(2, 25)}, r"moments must have shape \(2, 26\)"),
    ("Trainer", DENSE, {"moments": ones(3, 26)}, r"moments must have shape \(2, 26\)"),
    ("Trainer", DENSE, {"batch_size": 0}, "batch_size must be at least 1"),
    ("Trainer", DENSE, {"batch_size": -4}, "batch_size must be at least 1"),
    ("Trainer", DENSE, {"dropout": (1.0, 0)}, r"dropout must be in \[0, 1\)"),
    ("Trainer", DENSE, {"dropout": (-0.1, 0)}, r"dropout must be in \[0, 1\)"),
    ("Trainer", DENSE, {"dropout": (np.nan, 0)}, r"dropout must be in \[0, 1\)"),
    (
        "Trainer",
        DENSE,
        {"dropout": (0.1, 0), "for_dropout": False},
        "workspace is not for dropout",
    ),
    ("Trainer", DENSE, {"max_norm": -1.0}, "max_norm must not be negative"),
    ("Trainer", DENSE, {"max_norm": np.nan}, "max_norm must not be negative"),
    ("Trainer", DENSE, {"rates": [1.0]}, "rates must have length 4"),
    ("Trainer", DENSE, {"decays": np.ones((4, 1))}, "decays must have length 4"),
    ("factors", DENSE, {"factors": np.ones((3, 2))}, "factors must have 3 columns"),
    ("factors", DENSE, {"factors": np.ones(3)}, "factors must have 3 columns"),
    ("factors", DENSE, {"factors": np.full((3, 3), -1.0)}, "not negative"),
    ("factors", DENSE, {"factors": np.full((3, 3), np.inf)}, "finite"),
    ("factors", DENSE, {"factors": np.full((3, 3), np.nan)}, "finite"),
    (
        "factors",
        DENSE,
        {"factors": np.full((3, 3), 2.0), "dropout": (0.6, 0)},
        "below 1",
    ),
    ("run", DENSE, {"factors": np.ones((1, 3))}, "factors must have 2 rows"),
    ("run", DENSE, {"capacity": 3}, "batches of 4 rows are over the workspace's 3"),
    ("run", SPARSE, {"capacity": 3}, "batches of 4 rows are over the workspace's 3"),
    ("run", CLASSES, {"capacity": 3}, "batches of 4 rows are over the workspace's 3"),
    ("run", DENSE, {"start": -1}, "rows from -1 to 5"),
    ("run", DENSE, {"start": 6}, "rows from 6 to 5"),
    ("run", DENSE, {"stop": 7}, "rows from 1 to 7"),
    ("run", SPARSE, {"stop": 7}, "rows from 1 to 7"),
    ("run", DENSE, {"order": of(np.intp, *[0] * 4)}, "not within 4 rows"),
    ("run", DENSE, {"order": of(np.intp, 0, 1, 2, 3, 6)}, "row 6 is not one of 6 rows"),
    ("run", CLASSES, {"order": of(np.intp, 0, 1, -7, 3, 6)}, "row -7 is not one of 6"),
    ("run", DENSE, {"thread": 1}, "thread 1 is not one of 1"),
    ("run", DENSE, {"thread": -1}, "thread -1 is not one of 1"),
    ("apply", DENSE, {"grad": ones(25)}, "grad must have length 26"),
    ("apply", DENSE, {"grad": ones(27)}, "grad must have length 26"),
    ("apply", DENSE, {"grad": ones(0)}, "grad must have length 26"),
    # Kernels
    ("affine_layer", DENSE, {"W": ones(5)}, "W must be"),
    ("affine_layer", DENSE, {"b": ones(3)}, "b "),
    ("affine_layer", DENSE, {"A": ones(11)}, "A must be"),
    ("affine_layer", DENSE, {"Z": ones(7)}, "Z "),
    ("affine_layer", DENSE, {"p": 0}, "W must be"),
    ("affine_layer", DENSE, {"q": 0}, "W must be"),
    ("activation", DENSE, {"H": ones(7)}, "Z and A"),
    ("activation", DENSE, {"q": 3}, "Z and A"),
    ("activation", DENSE, {"q": 0}, "Z and A"),
    ("derivative", DENSE, {"H": ones(7)}, "one length"),
    ("derivative", DENSE, {"delta": ones(7)}, "one length"),
    ("elementary", DENSE, {"H": ones(7)}, "one length"),
]


@DTYPES
@pytest.mark.parametrize("door", DOORS)
@GIVEN
def test_right_arguments_are_taken(
    door: str, given: dict[str, bool], dtype: type
) -> None:
    """So that each refusal below has the one reason that it names."""
    arguments = Arguments(**given, dtype=dtype)
    assert len(arguments.theta) == 26
    before = arguments.state()
    DOORS[door](arguments)()
    assert (arguments.state() == before) == (door in READERS)


@DTYPES
@pytest.mark.parametrize(
    ("door", "given", "wrong", "message"),
    REFUSED,
    ids=[f"{door}-{'-'.join(wrong)}" for door, _, wrong, _ in REFUSED],
)
def test_wrong_arguments_are_refused(
    door: str, given: dict[str, bool], wrong: dict[str, Any], message: str, dtype: type
) -> None:
    arguments = Arguments(**given, dtype=dtype)
    arguments.values |= {
        name: value(dtype) if callable(value) else copy.deepcopy(value)
        for name, value in wrong.items()
    }
    call = DOORS[door](arguments)
    before = arguments.state()
    with pytest.raises(ValueError, match=message):
        call()
    assert arguments.state() == before


@pytest.mark.parametrize("thread", [-1, 2])
@pytest.mark.parametrize("door", ["loss_and_grad", "run"])
def test_a_thread_must_be_one_of_the_team(door: str, thread: int) -> None:
    arguments = Arguments()
    arguments.values |= {"thread": thread, "team": ThreadTeam(2)}
    call = DOORS[door](arguments)
    before = arguments.state()
    with pytest.raises(ValueError, match=f"thread {thread} is not one of 2"):
        call()
    assert arguments.state() == before


@pytest.mark.parametrize("n_threads", [0, -1])
def test_a_team_has_a_thread(n_threads: int) -> None:
    with pytest.raises(ValueError, match=f"at least 1. Got {n_threads}"):
        ThreadTeam(n_threads)


if not OWN_KERNELS:  # a team would be of BLAS's threads too

    @pytest.mark.parametrize("door", ["loss_and_grad", "run"])
    def test_a_level_without_threads_refuses_a_team(door: str) -> None:
        arguments = Arguments()
        arguments.values["team"] = ThreadTeam(2)
        call = DOORS[door](arguments)
        with pytest.raises(ValueError, match="this level leaves threads to BLAS"):
            call()


@pytest.mark.parametrize("door", ["predict", "loss_and_grad", "run"])
@GIVEN
def test_a_workspace_is_for_as_many_rows_as_it_says(
    door: str, given: dict[str, bool]
) -> None:
    """Exactly as many are taken, fewer too; one more is refused above."""
    for rows in 4, 3, 0:
        arguments = Arguments(**given)
        arguments.values |= {"stop": 1 + rows, "order": np.arange(6)}
        arguments.values |= {"dX": np.zeros(3 * rows), "out": np.zeros(2 * rows)}
        value = DOORS[door](arguments)()
        assert value is None or np.isfinite(value)


@DTYPES
@GIVEN
def test_reals_tells_what_a_workspace_allocates(
    given: dict[str, bool], dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, allocated = Arguments(**given, dtype=dtype), []
    arguments.values |= {"for_dropout": False, "input_gradient": False}

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(np, name)

        def empty(self, n: int, dtype: Any) -> Array:
            if np.dtype(dtype).kind == "f":
                allocated.append(n)
            return np.empty(n, dtype)

    told = arguments.engine.Workspace.reals(
        arguments.t, arguments.capacity, sparse=arguments.for_sparse
    )
    monkeypatch.setattr(arguments.engine, "np", Counting())
    arguments.workspace()
    # One more vector for the sake of alignment, where matrices are not apart.
    vector = 64 // np.dtype(dtype).itemsize
    assert sum(allocated) == told + len(allocated) * vector
    assert 0 < told < arguments.engine.Workspace.reals(arguments.t, 100)


def test_layers_over_the_limit_of_blas_are_refused() -> None:
    t = Topology([2**31, 1], [0], [True], Loss.SQUARED_ERROR)
    with pytest.raises(ValueError, match="layer 0 has 2147483648 units, over BLAS's"):
        Arguments().engine.Workspace.reals(t, 1)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seeds_are_of_64_bits(seed: int) -> None:
    arguments = Arguments()
    arguments.values["dropout"] = (0.5, seed)
    with pytest.raises(OverflowError):
        arguments.trainer()
    arguments.values["dropout"] = (0.5, 2**64 - 1)
    arguments.trainer()


def test_embeddings_are_for_dense_tables_and_have_no_gradient_by_X() -> None:
    e = Embeddings([[0.0, 1.0]], 0, [2], 2, 2)
    t = Topology([e.n_outputs, 1], [0], [True], Loss.SQUARED_ERROR, (), e)
    theta, engine = np.zeros(t.n_parameters), engine_of(np.float64)
    with pytest.raises(ValueError, match="X must be dense where there are embeddings"):
        engine.Workspace(t, theta, 2, sparse=True)
    with pytest.raises(ValueError, match="embeddings have no gradient by X"):
        engine.Workspace(t, theta, 2, input_gradient=True)
    sparse = make_table(sp.csr_array((2, 2)), Y=np.ones((2, 1)), dtype=float)
    with pytest.raises(ValueError, match="X must be dense where there are embeddings"):
        engine.predict(
            engine.Workspace(t, theta, 2), sparse, np.arange(2), 0, 2, np.ones(2), True
        )


@pytest.mark.parametrize("label", [3, -1, 2**30])
def test_labels_out_of_range_are_refused(label: int) -> None:
    topology = make_topology([6, 3], [], "softmax", "categorical_cross_entropy")
    labels = np.zeros(120, dtype=np.intc)
    labels[70] = label
    table = make_table(np.ones((120, 6)), labels=labels, dtype=float)
    with pytest.raises(ValueError, match=f"label {label} is not one of 3"):
        value_and_gradient(topology, np.zeros(21), table, denominator=1.0)
