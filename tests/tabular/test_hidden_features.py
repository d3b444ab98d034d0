"""What the networks of an ensemble know: hidden features, and rows of categories.

Answers for: tabular/_model.py, tabular/_embeddings.py.
"""

import sys

import numpy as np
import pandas as pd
import pytest
from helpers import fast_classifier, fast_regressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

N = 120


def frame(rng):
    return pd.DataFrame(
        {
            "number": rng.normal(size=N),
            "town": rng.choice(list("abcd"), N),
            "kind": pd.Categorical(np.where(np.arange(N) % 9, "u", None)),
            "two": rng.choice(["p", "q", "r"], N),
        }
    )


@pytest.mark.parametrize("make", [fast_classifier, fast_regressor])
def test_hidden_features_of_all_networks_stand_side_by_side(make):
    X = frame(np.random.default_rng(0))
    y = X["number"] + (X["town"] == "a")
    model = make(hidden_layer_sizes=(12, 6), n_folds=3)
    model.fit(X, y if make is fast_regressor else y > 0)
    found = model.transform(X)
    assert found.shape == (N, 3 * 6) and found.dtype == np.float32
    topology, thetas = model._bag
    total = 0
    for k, theta in enumerate(thetas):
        # What the last layer makes of them is what the network alone says.
        weights, biases = topology.views(theta)
        Z = found[:, 6 * k : 6 * k + 6] @ weights[-1] + biases[-1]
        alone = clone(model)
        alone.__dict__.update(model.__dict__ | {"_bag": (topology, [theta])})
        if make is fast_regressor:
            total = total + Z
        else:
            assert_allclose(Z[:, 0], alone.decision_function(X), rtol=1e-4, atol=1e-5)
    if make is fast_regressor:
        mean = total[:, 0] / 3 * model.target_scale_ + model.target_mean_
        assert_allclose(np.clip(mean, *model._clamp), model.predict(X), rtol=1e-4)
    names = model.get_feature_names_out()
    assert names.tolist() == [f"{type(model).__name__.lower()}{k}" for k in range(18)]
    out = clone(model).set_output(transform="pandas").fit(X, y > 0).transform(X[:3])
    assert out.shape == (3, 18) and out.index.equals(X.index[:3])


def test_rows_of_categories():
    X = frame(np.random.default_rng(0))
    model = fast_classifier(n_folds=2).fit(X, X["town"] == "a")
    found = model.embedding_
    assert [*found] == ["town", "kind", "two"]
    size = model.recipe_["embedding_size"] // 2
    topology, thetas = model._bag
    for place, (name, categories) in enumerate(
        {
            "town": [None, *"abcd"],
            "kind": [None, "u", np.nan],
            "two": [None, *"pqr"],
        }.items()
    ):
        each = found[name]
        assert list(map(repr, each.index)) == list(map(repr, categories))
        assert each.shape == (len(categories), 2 * size) and each.index.name == name
        for k, theta in enumerate(thetas):
            table = topology.embeddings.views(theta)[-1][place]
            assert_array_equal(each[k].to_numpy(), table)
    # A network reads the row of the category: change it, and it says something else.
    code = 1 + "abcd".index("c")
    before = model.decision_function(X)
    for theta in thetas:
        topology.embeddings.views(theta)[-1][0][code] += 3
    changed = model.decision_function(X) != before
    assert_array_equal(changed, X["town"] == "c")


def test_numbers_have_no_rows_of_categories():
    X = np.random.default_rng(0).normal(size=(N, 2))
    assert fast_regressor().fit(X, X[:, 0]).embedding_ == {}
    onehot = fast_regressor(max_one_hot=9).fit(frame(np.random.default_rng(0)), X[:, 0])
    assert onehot.embedding_ == {}


def test_rows_of_categories_need_pandas(monkeypatch):
    X = frame(np.random.default_rng(0))
    model = fast_classifier().fit(X, X["town"] == "a")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        _ = model.embedding_
