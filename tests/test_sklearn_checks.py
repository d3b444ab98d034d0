"""scikit-learn's own checks: none failed, none expected to fail, none skipped."""

import os

import pytest

# check_array_api_input skips itself without this, and a skip is not a pass.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

from sklearn.utils.estimator_checks import parametrize_with_checks

from skbackprop import BackpropMLPClassifier, BackpropMLPRegressor

pytestmark = pytest.mark.filterwarnings("default")


@parametrize_with_checks([BackpropMLPClassifier(), BackpropMLPRegressor()])
def test_defaults(estimator, check):
    try:
        check(estimator)
    except pytest.skip.Exception as skipped:
        pytest.fail(f"skipped: {skipped}")
