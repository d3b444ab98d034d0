"""scikit-learn's own checks: none failed, none expected to fail, none skipped.

Answers for: _classifier.py, _regressor.py, tabular/_classifier.py, tabular/_encoder.py,
tabular/_regressor.py.
"""

import os

# check_array_api_input skips itself without this, and a skip is not a pass. It has
# to be set before SciPy is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import pytest
from sklearn.utils.estimator_checks import (
    estimator_checks_generator,
    parametrize_with_checks,
)

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
)
from skbackprop.core import OWN_KERNELS

pytestmark = pytest.mark.filterwarnings("ignore")


def run(estimator, check):
    try:
        check(estimator)
    except pytest.skip.Exception as skipped:
        pytest.fail(f"skipped: {skipped}")


@parametrize_with_checks([BackpropMLPClassifier(), BackpropMLPRegressor()])
def test_defaults(estimator, check):
    run(estimator, check)


@parametrize_with_checks(
    [
        TabularEncoder(),
        TabularEncoder(categorical_features=None, missing="nan", clip=None),
        TabularEncoder(max_one_hot=0, min_frequency=2),
    ]
)
def test_encoder(estimator, check):
    run(estimator, check)


CLASSES = {
    "tabular": (TabularMLPClassifier, TabularMLPRegressor),
}
VARIANTS = {
    "tabular": {},
    "float32": {"dtype": "float32"},
    "lbfgs": {"solver": "lbfgs"},
    "sgd": {"solver": "sgd"},
    "adamw": {"solver": "adamw"},
    "early stopping": {"early_stopping": True},
    "small batches": {"batch_size": 8},
}

_BATCHES = (
    "a row of weight 2 fills one place of a mini-batch and the row twice fills two: "
    "equal at full batch and in expectation, not step by step"
)
_ROUNDING = "compares two fits to 1e-7, which float32 does not resolve"
_PARTIAL = "calls partial_fit, which has no validation rows to stop on"
_FEW = "fits so few rows that a tenth of them cannot be a validation set"
_SPLIT = "removing or repeating rows changes which rows are drawn for validation"
_FOLDS = "removing or repeating rows changes the folds that they are dealt into"
_BEST = "the best epoch is chosen on the weighted score of five validation rows"
_SURE = "the fit is so sure that a probability rounds to 0 or 1 in float64"

#: Checks whose own premises a variant breaks, each with the reason.
EXCEPTIONS: dict[str, dict[str, str]] = {
    "tabular": {"check_sample_weight_equivalence_on_dense_data": _FOLDS},
    "float32": {
        "check_regressor_multioutput": "wants float64 predictions",
        "check_sample_weight_equivalence_on_dense_data": _ROUNDING,
        "check_sample_weight_equivalence_on_sparse_data": _ROUNDING,
    },
    "lbfgs": {
        "check_classifiers_train": _SURE + ": log(0) is -inf, our logarithm is not",
        "check_classifiers_multilabel_output_format_predict_proba": _SURE,
    },
    "early stopping": {
        "check_class_weight_classifiers": _BEST,
        "check_classifiers_one_label": _FEW,
        "check_estimators_nan_inf": _PARTIAL,
        "check_estimators_partial_fit_n_features": _PARTIAL,
        "check_fit2d_1feature": _FEW,
        "check_fit_score_takes_y": _PARTIAL,
        "check_n_features_in_after_fitting": _PARTIAL,
        "check_regressors_no_decision_function": _FEW,
        "check_sample_weight_equivalence_on_dense_data": _SPLIT,
        "check_sample_weight_equivalence_on_sparse_data": _SPLIT,
    },
    "small batches": {
        "check_sample_weight_equivalence_on_dense_data": _BATCHES,
        "check_sample_weight_equivalence_on_sparse_data": _BATCHES,
    },
}


#: What the portable level's BLAS does not keep: its sums for a row depend on the row's
#: place, and averages of float32 networks are compared as the doubles that they are.
OF_OWN_KERNELS = {
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
}


def name_of(check):
    return getattr(check, "func", check).__name__


def cases(*, excepted):
    for variant, parameters in VARIANTS.items():
        for cls in CLASSES.get(variant, (BackpropMLPClassifier, BackpropMLPRegressor)):
            for estimator, check in estimator_checks_generator(cls(**parameters)):
                name = name_of(check)
                if variant == "tabular" and name in OF_OWN_KERNELS and not OWN_KERNELS:
                    continue
                if (name in EXCEPTIONS.get(variant, {})) == excepted:
                    yield pytest.param(
                        estimator, check, id=f"{variant}-{cls.__name__}-{name}"
                    )


@pytest.mark.parametrize(("estimator", "check"), list(cases(excepted=False)))
def test_variants(estimator, check):
    run(estimator, check)


def test_exceptions_are_exceptions():
    """A check that passes in every class does not belong on the list."""
    needless = {(v, name) for v, names in EXCEPTIONS.items() for name in names}
    for parameter in cases(excepted=True):
        variant, _, name = parameter.id.split("-")
        try:
            parameter.values[1](parameter.values[0])
        except (AssertionError, ValueError):
            needless.discard((variant, name))
    assert not needless
