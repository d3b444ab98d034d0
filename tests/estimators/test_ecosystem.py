"""With the rest of scikit-learn: clone, pipelines, searches, threads, routing.

Answers for: _base.py, _classifier.py.
"""

import copy
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbackprop import BackpropMLPClassifier, BackpropMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = make_classification(150, 6, n_informative=4, n_classes=3, random_state=0)
SETTINGS = {"max_iter": 20, "random_state": 0, "learning_rate_init": 0.01}


def mlp(**parameters):
    return BackpropMLPClassifier(**SETTINGS | parameters)


def test_grid_search_in_a_pipeline_is_the_same_on_threads():
    pipeline = make_pipeline(StandardScaler(), BackpropMLPClassifier(**SETTINGS))
    grid = {
        "backpropmlpclassifier__alpha": [1e-4, 1.0],
        "backpropmlpclassifier__hidden_layer_sizes": [(5,), (10, 5)],
    }
    alone = GridSearchCV(pipeline, grid, cv=3).fit(X, Y)
    with joblib.parallel_config(backend="threading", n_jobs=4):
        threads = GridSearchCV(pipeline, grid, cv=3).fit(X, Y)
    scores = "mean_test_score"
    assert_array_equal(alone.cv_results_[scores], threads.cv_results_[scores])
    assert alone.best_score_ > 0.6
    assert_array_equal(
        alone.best_estimator_[-1].coefs_[0], threads.best_estimator_[-1].coefs_[0]
    )


def test_same_seed_same_bits_on_threads():
    alone = mlp().fit(X, Y)
    with joblib.parallel_config(backend="threading", n_jobs=4):
        fits = joblib.Parallel()(joblib.delayed(mlp().fit)(X, Y) for _ in range(8))
    for model in fits:
        assert_array_equal(model.coefs_[0], alone.coefs_[0])


def test_other_seeds_other_models():
    assert not np.array_equal(
        mlp().fit(X, Y).coefs_[0], mlp(random_state=1).fit(X, Y).coefs_[0]
    )


def test_cross_val_predict_calibration_and_ensembles():
    p = cross_val_predict(mlp(), X, Y, method="predict_proba", cv=3)
    assert_allclose(p.sum(axis=1), 1)
    assert cross_val_score(mlp(), X, Y, cv=3).mean() > 0.6
    assert CalibratedClassifierCV(mlp(), cv=3).fit(X, Y).score(X, Y) > 0.7
    bag = BaggingClassifier(mlp(), n_estimators=3, random_state=0).fit(X, Y)
    assert bag.score(X, Y) > 0.7
    boosted = AdaBoostClassifier(mlp(), n_estimators=2, random_state=0).fit(X, Y)
    assert boosted.score(X, Y) > 0.6


def test_sample_weight_is_routed():
    w = np.random.RandomState(0).uniform(size=150)
    with sklearn.config_context(enable_metadata_routing=True):
        model = mlp().set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, model)
        pipeline.fit(X, Y, sample_weight=w)
    alone = mlp().fit(StandardScaler().fit_transform(X), Y, sample_weight=w)
    assert_array_equal(pipeline[-1].coefs_[0], alone.coefs_[0])


@pytest.mark.parametrize("how", [pickle.dumps, copy.copy, copy.deepcopy, "joblib"])
def test_copies_predict_alike_and_share_nothing(how, tmp_path):
    model = mlp(early_stopping=True).fit(X, Y)
    if how == "joblib":
        joblib.dump(model, tmp_path / "model")
        other = joblib.load(tmp_path / "model", mmap_mode="r")
    else:
        other = how(model)
        other = pickle.loads(other) if isinstance(other, bytes) else other
    expected = model.predict_proba(X)
    assert_array_equal(other.predict_proba(X), expected)
    other.coefs_[0][...] = 0
    assert_array_equal(model.predict_proba(X), expected)
    assert not np.array_equal(other.predict_proba(X), expected)


def test_a_pickle_of_another_version_warns():
    model = mlp().fit(X, Y)
    state = model.__getstate__() | {"_skbackprop_version": "0.0.1"}
    other = BackpropMLPClassifier.__new__(BackpropMLPClassifier)
    with pytest.warns(UserWarning, match=r"0\.0\.1"):
        other.__setstate__(state)
    assert_array_equal(other.predict(X), model.predict(X))


def test_fitted_attributes_are_plain():
    """No object of ours is left on an estimator: serialisers lose their state."""
    model = mlp(early_stopping=True, warm_start=True).fit(X, Y)

    def check(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            for item in value:
                check(item)
            return
        assert not type(value).__module__.startswith("skbackprop"), value

    check(model.__getstate__())


def test_clone_and_set_params():
    model = mlp(activation=["tanh"], scoring="accuracy").fit(X, Y)
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert not hasattr(copied, "coefs_")
    assert is_classifier(model) and is_regressor(BackpropMLPRegressor())


def test_one_activation_per_layer():
    model = mlp(hidden_layer_sizes=(5, 4), activation=["tanh", "sigmoid"]).fit(X, Y)
    A = np.tanh(X @ model.coefs_[0] + model.intercepts_[0])
    A = 1 / (1 + np.exp(-(A @ model.coefs_[1] + model.intercepts_[1])))
    logits = A @ model.coefs_[2] + model.intercepts_[2]
    assert_allclose(model.decision_function(X), logits, rtol=1e-9, atol=1e-12)
    same = mlp(activation="sigmoid").fit(X, Y)
    assert_array_equal(same.coefs_[0], mlp(activation="logistic").fit(X, Y).coefs_[0])


def test_adamw_decays_weights():
    strong = mlp(solver="adamw", weight_decay=10.0, alpha=0.0).fit(X, Y)
    weak = mlp(solver="adamw", weight_decay=0.0, alpha=0.0).fit(X, Y)
    adam = mlp(alpha=0.0).fit(X, Y)
    assert_array_equal(weak.coefs_[0], adam.coefs_[0])
    assert np.abs(strong.coefs_[0]).mean() < 0.5 * np.abs(weak.coefs_[0]).mean()


def test_import_is_light(tmp_path):
    """No package comes with ours that scikit-learn does not bring itself."""
    code = """if True:
        import sys
        import scipy.optimize, sklearn.metrics, sklearn.model_selection
        top = lambda: {n.split(".")[0] for n in sys.modules} - sys.stdlib_module_names
        before = top()
        import skbackprop
        print(sorted(name for name in top() - before if name[0] != "_"))
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['skbackprop']"


def test_reprs_show_what_was_set():
    assert repr(BackpropMLPClassifier((5,))) == (
        "BackpropMLPClassifier(hidden_layer_sizes=(5,))"
    )
    assert "BackpropMLPRegressor" in BackpropMLPRegressor()._repr_html_()
