"""Arrays at odd addresses, of other types and layouts, and none: the engine refuses.

Answers for: core/engine.pyx, core/kernels.pxi.
"""

from typing import Any

import numpy as np
import pytest
from doors import CLASSES, DENSE, DOORS, DTYPES, SPARSE, Arguments, Array, Call
from helpers import shifted

#: The arrays that each door is the first to look at.
ARRAYS = [
    ("Table", DENSE, "X Y sample_weight"),
    ("Table", SPARSE, "data indices indptr Y sample_weight"),
    ("Table", CLASSES, "labels"),
    ("Workspace", DENSE, "theta"),
    ("Trainer", DENSE, "moments"),
    ("predict", DENSE, "order out"),
    ("predict", SPARSE, "order"),
    ("predict_few", DENSE, "theta few few_out"),
    ("loss_and_grad", DENSE, "order grad dX"),
    ("l2_and_grad", DENSE, "theta grad"),
    ("run", DENSE, "order"),
    ("apply", DENSE, "grad"),
    ("affine_layer", DENSE, "A W b Z"),
    ("activation", DENSE, "Z H"),
    ("derivative", DENSE, "Z H delta"),
    ("elementary", DENSE, "Z H"),
    ("is_finite", DENSE, "X"),
    ("square_sum", DENSE, "X"),
]
EVERY_ARRAY = pytest.mark.parametrize(
    ("door", "given", "name"),
    [(door, given, name) for door, given, names in ARRAYS for name in names.split()],
)


def misshape(
    door: str, given: dict[str, bool], name: str, dtype: type, change: Any
) -> tuple[Arguments, Call]:
    arguments = Arguments(**given, dtype=dtype)
    if name == "order":
        arguments.values[name] = np.arange(6)[::-1].copy()
    arguments.values[name] = change(arguments.values[name])
    return arguments, DOORS[door](arguments)


@DTYPES
@EVERY_ARRAY
def test_odd_addresses_are_refused(
    door: str, given: dict[str, bool], name: str, dtype: type
) -> None:
    """Vectors are loaded from addresses of numbers; a copy has one."""
    arguments, call = misshape(door, given, name, dtype, shifted)
    before = arguments.state()
    with pytest.raises(ValueError, match="aligned"):
        call()
    assert arguments.state() == before
    misshape(door, given, name, dtype, np.copy)[1]()


@DTYPES
@EVERY_ARRAY
def test_other_types_are_refused(
    door: str, given: dict[str, bool], name: str, dtype: type
) -> None:
    """The engine of a type takes no other, nor integers of another size."""
    others = {4: np.float64, 8: np.float32}
    integers = {4: np.int64, 8: np.int32}

    def other(array: Array) -> Array:
        kinds = integers if array.dtype.kind == "i" else others
        return array.astype(kinds[array.itemsize])

    arguments, call = misshape(door, given, name, dtype, other)
    before = arguments.state()
    with pytest.raises(ValueError, match="dtype"):
        call()
    assert arguments.state() == before


@DTYPES
@EVERY_ARRAY
def test_strides_and_dimensions_are_refused(
    door: str, given: dict[str, bool], name: str, dtype: type
) -> None:
    for change in (
        lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
        lambda array: array[None],
    ):
        arguments, call = misshape(door, given, name, dtype, change)
        before = arguments.state()
        with pytest.raises(ValueError, match=r"contiguous|dimensions"):
            call()
        assert arguments.state() == before


@pytest.mark.parametrize(
    ("door", "name"),
    [
        ("Trainer", "theta"),
        ("Trainer", "moments"),
        ("predict", "out"),
        ("predict_few", "few_out"),
        ("loss_and_grad", "grad"),
        ("loss_and_grad", "dX"),
        ("l2_and_grad", "grad"),
        ("affine_layer", "Z"),
        ("activation", "H"),
        ("derivative", "delta"),
        ("elementary", "Z"),
    ],
)
def test_what_is_written_to_must_be_writeable(door: str, name: str) -> None:
    def frozen(array: Array) -> Array:
        array = array.copy()
        array.flags.writeable = False
        return array

    _, call = misshape(door, DENSE, name, np.float64, frozen)
    with pytest.raises(ValueError, match="read-only"):
        call()


@pytest.mark.parametrize(
    ("door", "given", "name"),
    [
        ("Table", DENSE, "X"),
        ("Table", SPARSE, "data"),
        ("Workspace", DENSE, "theta"),
        ("Workspace", DENSE, "t"),
        ("Trainer", DENSE, "moments"),
        ("predict", DENSE, "out"),
        ("predict_few", DENSE, "t"),
        ("predict_few", DENSE, "theta"),
        ("l2_and_grad", DENSE, "t"),
        ("l2_and_grad", DENSE, "theta"),
        ("apply", DENSE, "grad"),
        ("affine_layer", DENSE, "Z"),
        ("derivative", DENSE, "delta"),
    ],
)
def test_nothing_is_refused(door: str, given: dict[str, bool], name: str) -> None:
    """None is an argument like another to the compiler, and no array."""
    _, call = misshape(door, given, name, np.float64, lambda _: None)
    with pytest.raises((TypeError, ValueError, AttributeError)):
        call()


def test_objects_that_are_none_are_refused() -> None:
    a = Arguments()
    engine, workspace, table = a.engine, a.workspace(), a.table()
    rows = a.order, a.start, a.stop
    for call in (
        lambda: engine.predict(None, table, *rows, a.out, False),
        lambda: engine.predict(workspace, None, *rows, a.out, False),
        lambda: engine.loss_and_grad(None, table, *rows, 1.0),
        lambda: engine.loss_and_grad(workspace, None, *rows, 1.0),
        lambda: engine.Trainer(None, table, a.opt, a.moments, 4),
        lambda: engine.Trainer(workspace, None, a.opt, a.moments, 4),
        lambda: engine.Trainer(workspace, table, None, a.moments, 4),
        lambda: engine.Workspace.reals(None, 4),
    ):
        with pytest.raises(TypeError, match="None"):
            call()


def test_objects_of_the_other_type_are_refused() -> None:
    """Each engine has classes of its own."""
    a, b = Arguments(), Arguments(dtype=np.float32)
    rows = a.order, a.start, a.stop
    for call in (
        lambda: a.engine.predict(b.workspace(), a.table(), *rows, a.out, False),
        lambda: a.engine.predict(a.workspace(), b.table(), *rows, a.out, False),
        lambda: a.engine.Trainer(b.workspace(), a.table(), a.opt, a.moments, 4),
        lambda: a.engine.Trainer(a.workspace(), b.table(), a.opt, a.moments, 4),
    ):
        with pytest.raises(TypeError, match="incorrect type"):
            call()
