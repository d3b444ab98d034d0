"""One table in every container of columns that people have."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skbackprop import TabularEncoder

N = 60
RNG = np.random.default_rng(0)


def with_gaps(values, *, every):
    return [None if i % every == 1 else v for i, v in enumerate(values)]


# The same table once, as Python lists; each container below is made from it.
DATA = {
    "age": with_gaps(RNG.integers(18, 80, N).tolist(), every=7),
    "income": RNG.lognormal(10, 1, N).tolist(),
    "rooms": RNG.integers(1, 9, N).tolist(),
    "color": with_gaps(RNG.choice(["red", "green", "blue"], N).tolist(), every=9),
    "sex": RNG.choice(["female", "male"], N).tolist(),
    "member": RNG.choice([True, False], N).tolist(),
    "vip": with_gaps(RNG.choice([True, False], N).tolist(), every=11),
    "city": with_gaps(RNG.choice([f"c{i}" for i in range(15)], N).tolist(), every=8),
    "constant": [4] * N,
    "empty": [None] * N,
    "only": ["one"] * N,
}
STRINGS = ["color", "sex", "city", "only"]
ROWS = [list(row) for row in zip(*DATA.values(), strict=True)]
PANDAS = pd.DataFrame(DATA)
POLARS = pl.DataFrame(DATA)


def dictionary(values):
    pa = pytest.importorskip("pyarrow")
    encoded = pa.array(values).dictionary_encode()
    return pd.Series(pd.arrays.ArrowExtensionArray(encoded))


def arrow(dtype):
    pa = pytest.importorskip("pyarrow")
    return pd.ArrowDtype(getattr(pa, dtype)())


def pandas_arrow():
    frame = PANDAS.copy()
    for name in STRINGS:
        frame[name] = pd.Series(DATA[name], dtype=arrow("string"))
    for name in ("member", "vip"):
        frame[name] = pd.Series(DATA[name], dtype=arrow("bool_"))
    for name in ("age", "rooms", "constant"):
        frame[name] = pd.Series(DATA[name], dtype=arrow("int64"))
    frame["income"] = frame["income"].astype(arrow("float64"))
    frame["empty"] = pd.Series(DATA["empty"], dtype=arrow("null"))
    return frame


def pandas_dictionary():
    pa = pytest.importorskip("pyarrow")
    dtype = pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))
    return pandas_arrow().astype({name: dtype for name in STRINGS})


def pandas_nullable():
    types = {"age": "Int16", "income": "Float64", "rooms": "UInt8"}
    types |= {"member": "boolean", "vip": "boolean", "constant": "Int64"}
    return PANDAS.astype(types | {name: "string" for name in STRINGS})


def numpy_objects():
    data = np.empty((N, len(DATA)), dtype=object)
    for j, values in enumerate(DATA.values()):
        data[:, j] = values
    return data


def numpy_scalars():
    data = numpy_objects()
    data[:, 2] = [np.int8(v) for v in DATA["rooms"]]
    data[:, 1] = [np.float64(v) for v in DATA["income"]]
    data[:, 4] = [np.str_(v) for v in DATA["sex"]]
    data[:, 5] = [np.bool_(v) for v in DATA["member"]]
    data[:, 6] = [pd.NA if v is None else v for v in DATA["vip"]]
    data[:, 3] = [np.nan if v is None else v for v in DATA["color"]]
    return data


CONTAINERS = {
    "pandas": lambda: PANDAS,
    "pandas objects": lambda: PANDAS.astype(object),
    "pandas category": lambda: PANDAS.astype({name: "category" for name in STRINGS}),
    "pandas more categories": lambda: PANDAS.assign(
        color=pd.Categorical(DATA["color"], ["unused", "red", "green", "blue"])
    ),
    "pandas nullable": pandas_nullable,
    "pandas arrow": pandas_arrow,
    "pandas dictionary": pandas_dictionary,
    "polars": lambda: POLARS,
    "polars categorical": lambda: POLARS.cast({n: pl.Categorical for n in STRINGS}),
    "polars enum": lambda: POLARS.cast(
        {"color": pl.Enum(["x", "red", "green", "blue"])}
    ),
    "polars narrow": lambda: POLARS.cast({"age": pl.Int8, "rooms": pl.UInt16}),
    # Older versions have no Int128.
    "polars wide": lambda: POLARS.cast({"rooms": getattr(pl, "Int128", pl.Int64)}),
    "polars decimal": lambda: POLARS.cast({"rooms": pl.Decimal(10, 2)}),
    "numpy objects": numpy_objects,
    "numpy scalars": numpy_scalars,
    "lists": lambda: ROWS,
    "arrow table": lambda: POLARS.to_arrow(),
}


def encode(values, **parameters):
    """One column through an encoder of its own."""
    return TabularEncoder(**parameters).fit_transform(pd.DataFrame({"a": values}))
