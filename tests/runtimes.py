"""Models of ONNX, run as somebody who has no Python would have them run."""

import numpy as np
import onnxruntime
from helpers import fast_classifier, fast_regressor, rising
from numpy.testing import assert_allclose, assert_array_equal

from skbackprop.onnx import make_inputs, to_onnx


def quick_classifier(**parameters):
    """An ensemble of a few steps. Its networks are not the best constant.

    That is what they would be with the score by the loss, whatever the nodes do.
    """
    return fast_classifier(**{"max_iter": 3, "scoring": "accuracy"} | parameters)


def quick_regressor(**parameters):
    """The same; the last epoch is kept."""
    return fast_regressor(**{"max_iter": 3, "scoring": rising()} | parameters)


def run(model, inputs):
    """The outputs of a model, by name; a warning of the runtime's is no error."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def assert_predicts_the_same(
    estimator, X, *, atol, inputs=None, constant=False, **options
):
    """What the model of an estimator answers for X; it has been compared."""
    model = to_onnx(estimator, **options)
    inputs = make_inputs(model, X) if inputs is None else inputs
    outputs = run(model, inputs)
    assert_same(outputs, estimator, X, atol=atol, constant=constant)
    return model


def assert_same(outputs, estimator, X, *, atol, constant=False):
    """Outputs of a runtime, and what an estimator says of X."""
    if "variable" in outputs:
        says = getattr(estimator, "predict", None) or estimator.transform
        expected = says(X)
        actual = outputs["variable"]
        if expected.ndim == 1:
            actual = actual[:, 0]
        size = np.abs(expected).max()  # of numbers in the unit of y
        assert len(expected) == 1 or (expected != expected[0]).any()
        assert actual.shape == expected.shape
        assert_allclose(actual, expected, rtol=0, atol=atol * max(size, 1))
        return
    p, expected = outputs["probabilities"], estimator.predict_proba(X)
    assert p.shape == expected.shape
    # One that says the same of all rows would agree with much that is wrong.
    assert len(p) == 1 or constant or (expected != expected[0]).any()
    assert_allclose(p, expected, rtol=0, atol=atol)
    labels = estimator.predict(X)
    assert outputs["label"].shape == labels.shape
    kinds = {"i": "iu", "u": "iu", "U": "O"}.get(labels.dtype.kind, labels.dtype.kind)
    assert outputs["label"].dtype.kind in kinds
    assert_array_equal(outputs["label"], labels)
