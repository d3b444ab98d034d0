"""Dates as numbers: the parts, every container, what else a column may hold later.

Answers for: tabular/_days.py, tabular/_names.py, tabular/_encoder.py.
"""

import datetime
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from skbackprop import (
    TabularEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
    load_model,
    save_model,
)
from skbackprop.tabular._days import PARTS, date_parts

MOMENTS = [
    datetime.datetime(2024, 2, 29, 12, 30),
    datetime.datetime(1969, 12, 31, 23, 59, 59),
    datetime.datetime(1, 1, 1),
    datetime.datetime(9999, 12, 31, 6),
    datetime.datetime(2000, 1, 1),
]


def test_parts_are_those_of_the_calendar():
    dates = np.array([*MOMENTS, "NaT"], "datetime64[us]")
    parts = date_parts(dates)
    epoch = datetime.datetime(1970, 1, 1)
    expected = [
        ((m - epoch) / datetime.timedelta(days=1), m.year, m.month, m.weekday())
        for m in MOMENTS
    ]
    np.testing.assert_allclose(parts[:4, :-1].T, expected, rtol=1e-15)
    hours = [m.hour + m.minute / 60 + m.second / 3600 for m in MOMENTS]
    np.testing.assert_allclose(parts[4, :-1], hours, rtol=1e-15)
    assert np.isnan(parts[:, -1]).all()


DATES = pd.date_range("2023-01-01 05:00", periods=40, freq="31h")
FRAME = pd.DataFrame({"day": DATES, "x": np.arange(40.0)})
FRAME.loc[3, "day"] = pd.NaT


def encoded(frame=FRAME, **options):
    encoder = TabularEncoder(dates="numbers", **options)
    return encoder, encoder.fit_transform(frame)


def test_the_columns_have_names_and_one_indicator():
    encoder, matrix = encoded(clip=None)
    names = encoder.get_feature_names_out().tolist()
    # Two months of one year: the year says nothing.
    parts = ["day_elapsed", "day_month", "day_weekday", "day_hour"]
    assert names == [*parts, "x", "day_missing"]
    assert_array_equal(encoder.date_features_, [0])
    assert_array_equal(encoder.numeric_features_, [0, 0, 0, 0, 0, 1])
    assert_array_equal(encoder.indicator_features_, [0])
    assert_array_equal(encoder.dropped_features_, [])
    assert_array_equal(matrix[:, -1], FRAME["day"].isna())
    hours = pd.Series(date_parts(DATES.to_numpy("datetime64[us]"))[4]).drop(3)
    middle = hours.median()
    spread = hours.quantile(0.75) - hours.quantile(0.25)
    np.testing.assert_allclose(
        np.delete(matrix[:, 3], 3), (hours - middle) / spread, rtol=1e-6
    )


def test_missing_dates_stay_missing_for_networks():
    _, matrix = encoded(missing="nan")
    assert np.isnan(matrix[3, :4]).all() and np.isnan(matrix).sum() == 4


CONTAINERS = {
    "seconds": lambda frame: frame.astype({"day": "datetime64[s]"}),
    "objects": lambda frame: frame.assign(day=frame["day"].astype(object)),
    "zone": lambda frame: frame.assign(day=frame["day"].dt.tz_localize("Asia/Tokyo")),
    "zone of objects": lambda frame: frame.assign(
        day=frame["day"].dt.tz_localize("Asia/Tokyo").astype(object)
    ),
    "arrow dtype": lambda frame: frame.astype({"day": "timestamp[us][pyarrow]"}),
    "arrow zone": lambda frame: frame.assign(
        day=frame["day"].dt.tz_localize("Asia/Tokyo")
    ).astype({"day": "timestamp[us, Asia/Tokyo][pyarrow]"}),
    "arrow": pa.Table.from_pandas,
    "polars": pl.from_pandas,
    "polars zone": lambda frame: pl.from_pandas(frame).with_columns(
        pl.col("day").dt.replace_time_zone("Asia/Tokyo")
    ),
    "array": lambda frame: frame.astype(object).to_numpy(),
}


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
def test_every_container_gives_the_same_numbers(make):
    _, expected = encoded()
    _, matrix = encoded(make(FRAME))
    assert_array_equal(matrix, expected)


def test_days_without_a_time():
    days = [date.date() for date in DATES]
    expected = encoded(pd.DataFrame({"day": pd.to_datetime(pd.Series(days))}))
    for frame in (pd.DataFrame({"day": days}), pl.DataFrame({"day": days})):
        encoder, matrix = encoded(frame)
        assert_array_equal(matrix, expected[1])
    assert "day_hour" not in encoder.get_feature_names_out()


def test_text_of_dates_is_read_where_fit_saw_dates():
    encoder, expected = encoded()
    text = FRAME["day"].dt.strftime("%Y-%m-%dT%H:%M:%S")
    assert_array_equal(encoder.transform(FRAME.assign(day=text)), expected)
    nothing = encoder.transform(FRAME.assign(day=np.nan))
    assert_array_equal(nothing[:, -1], np.ones(40))


@pytest.mark.parametrize("cells", ["31.01.2024", 20240131.0])
def test_what_is_no_date_names_the_column(cells):
    encoder, _ = encoded()
    with pytest.raises(ValueError, match=r"Column 'day' held dates .* ISO 8601"):
        encoder.transform(FRAME.assign(day=cells))


def test_dates_where_fit_saw_numbers_or_categories():
    frame = FRAME.assign(kind=["a", "b"] * 20)
    encoder, _ = encoded(frame)
    for name in ("x", "kind"):
        with pytest.raises(TypeError, match=f"Column '{name}' contains dates"):
            encoder.transform(frame.assign(**{name: DATES}))


@pytest.mark.parametrize("value", [datetime.timedelta(days=2), datetime.time(3)])
def test_times_and_durations_are_refused(value):
    for frame in (
        pd.DataFrame({"day": [value, value]}),
        pl.DataFrame({"day": [value, value]}),
    ):
        with pytest.raises(TypeError, match="Column 'day' contains dates or times"):
            TabularEncoder(dates="numbers").fit(frame)


def test_dates_beside_numbers_are_refused():
    X = np.array([[DATES[0]], [1.5]], dtype=object)
    with pytest.raises(TypeError, match="Column 0 contains dates"):
        TabularEncoder(dates="numbers").fit(X)


def test_constant_dates_are_dropped():
    frame = pd.DataFrame({"day": [DATES[0]] * 4, "gone": pd.NaT, "x": [1, 2, 3, 4]})
    encoder, matrix = encoded(frame)
    assert_array_equal(encoder.dropped_features_, [0, 1])
    assert matrix.shape == (4, 1)
    frame.loc[1, "day"] = pd.NaT
    for missing in ("nan", "indicator"):
        encoder, matrix = encoded(frame, missing=missing)
        assert_array_equal(encoder.dropped_features_, [1])
        assert matrix.shape == (4, 2)
        assert len(np.unique(matrix[:, 0] if missing == "nan" else matrix[:, 1])) == 2


def test_a_network_learns_from_them(tmp_path):
    rng = np.random.default_rng(0)
    days = pd.to_datetime("2022-01-01") + pd.to_timedelta(
        rng.integers(0, 700, 300), "D"
    )
    frame = pd.DataFrame({"day": days})
    weekend = days.day_of_week >= 5
    model = TabularMLPClassifier(
        preset="fast", dates="numbers", n_folds=2, random_state=0
    ).fit(frame, weekend)
    assert model.score(frame, weekend) > 0.95
    save_model(model, tmp_path / "model")
    for again in (load_model(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert_array_equal(again.predict_proba(frame), model.predict_proba(frame))
    with pytest.raises(TypeError, match="Pass dates='numbers'"):
        TabularMLPRegressor().fit(frame, weekend)


def test_a_file_with_other_dates_is_refused(tmp_path):
    encoder, _ = encoded()
    for wrong in ([1], [0, 0], [], [5]):
        broken = pickle.loads(pickle.dumps(encoder))
        broken.date_features_ = np.array(wrong, np.intp)
        with pytest.raises(ValueError, match="date_features_"):
            save_model(broken, tmp_path / "model")
    encoder = TabularEncoder().fit(FRAME.assign(day="a"))
    encoder.date_features_ = np.array([0], np.intp)  # a column of categories
    with pytest.raises(ValueError, match="date_features_"):
        save_model(encoder, tmp_path / "model")
    assert len(PARTS) == 5


def test_a_pickle_without_the_parameter():
    """As of 0.1.0: it has the default then."""
    encoder = TabularEncoder(clip=None).fit(FRAME[["x"]])
    state = encoder.__getstate__()
    del state["dates"], state["date_features_"]
    again = TabularEncoder.__new__(TabularEncoder)
    again.__setstate__(state)
    assert again.get_params() == encoder.get_params()
    assert_array_equal(again.transform(FRAME[["x"]]), encoder.transform(FRAME[["x"]]))
