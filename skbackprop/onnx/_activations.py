"""Activations as nodes: (A1) to (A11) of docs/derivations.md, in float and in double.

onnxruntime has Erf, Selu, Gelu, Mish and LeakyRelu in float alone, and its Sigmoid
is 0 below -18, so that none of them is used where that would show.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import erfcx

from .._layers import Array
from ..core.activations import Activation
from ._graph import Graph

#: What makes A of Z: a tensor, and the type of its numbers.
Formula = Callable[[Graph, str, type[np.floating]], str]

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
#: Where a normal's tail is 0 in double, and the degree of its polynomial.
_FAR, _DEGREE = 39.0, 24


def activate(graph: Graph, kind: int, z: str, real: type[np.floating]) -> str:
    """A_j = f_j(Z_j), for whatever shape; softmax along the last axis.  (F2)"""
    return FORMULAS[Activation(kind)](graph, z, real)


def logistic(graph: Graph, z: str, real: type[np.floating]) -> str:
    """1 / (1 + exp(-z)), as exact where it is small as where it is not.  (A3)"""
    e = graph("Exp", graph("Neg", z))
    return graph("Reciprocal", graph("Add", e, real(1)))


def _selu(graph: Graph, z: str, real: type[np.floating]) -> str:
    e = graph("Sub", graph("Exp", graph("Min", z, real(0))), real(1))
    left = graph("Mul", e, real(_SELU_SCALE * _SELU_ALPHA))
    right = graph("Mul", z, real(_SELU_SCALE))
    return graph("Where", graph("Greater", z, real(0)), right, left)


def _silu(graph: Graph, z: str, real: type[np.floating]) -> str:
    return graph("Mul", z, logistic(graph, z, real))


def _mish(graph: Graph, z: str, real: type[np.floating]) -> str:
    """z n / (n + 2) with n = exp(2z) + 2 exp(z); from 20 on the quotient is 1."""
    e = graph("Exp", graph("Min", z, real(20)))
    n = graph("Mul", e, graph("Add", e, real(2)))
    return graph("Mul", z, graph("Div", n, graph("Add", n, real(2))))


def _leaky_relu(graph: Graph, z: str, real: type[np.floating]) -> str:
    return graph("Max", z, graph("Mul", z, real(0.01)))


def _gelu(graph: Graph, z: str, real: type[np.floating]) -> str:
    if real is np.float32:
        e = graph("Erf", graph("Mul", z, real(np.sqrt(0.5))))
        return graph("Mul", graph("Mul", z, real(0.5)), graph("Add", e, real(1)))
    # max(z, 0) - |z| Q(|z|), with the tail of a normal.
    size = graph("Abs", z)
    lost = graph("Mul", size, _normal_tail(graph, size))
    return graph("Sub", graph("Relu", z), lost)


def _normal_tail(graph: Graph, x: str) -> str:
    """Q(x) = P(N > x) of a standard normal for x >= 0, in double.

    (x + 4) Q(x) exp(x^2 / 2) changes slowly: a polynomial in t = (x - 4) / (x + 4).
    """
    x = graph("Min", x, np.float64(_FAR))
    more = graph("Add", x, np.float64(4))
    t = graph("Div", graph("Sub", x, np.float64(4)), more)
    *rest, value = _tail_polynomial()
    p = graph.constant(np.float64(value))
    for coefficient in reversed(rest):
        p = graph("Add", graph("Mul", p, t), np.float64(coefficient))
    e = graph("Exp", graph("Mul", graph("Mul", x, x), np.float64(-0.5)))
    return graph("Div", graph("Mul", p, e), more)


def _tail_polynomial() -> Array:
    """Coefficients in t, the constant first, of x from 0 to _FAR."""
    last = (_FAR - 4) / (_FAR + 4)

    def ratio(t: Array) -> Array:
        x = 4 * (1 + t) / (1 - t)
        return (x + 4) * erfcx(x * np.sqrt(0.5)) / 2

    interpolate = np.polynomial.Chebyshev.interpolate
    fitted = interpolate(ratio, _DEGREE, domain=[-1.0, last])
    return fitted.convert(kind=np.polynomial.Polynomial, domain=[-1, 1]).coef


def _of(operator: str) -> Formula:
    """The formula of an activation that is an operator."""
    return lambda graph, z, real: graph(operator, z)


#: The formula of every activation.
FORMULAS: dict[Activation, Formula] = {
    Activation.IDENTITY: lambda graph, z, real: z,
    Activation.RELU: _of("Relu"),
    Activation.SIGMOID: logistic,
    Activation.TANH: _of("Tanh"),
    Activation.SELU: _selu,
    Activation.SILU: _silu,
    Activation.GELU: _gelu,
    Activation.MISH: _mish,
    Activation.LEAKY_RELU: _leaky_relu,
    Activation.EXP: _of("Exp"),
    Activation.SOFTMAX: lambda graph, z, real: graph("Softmax", z, axis=-1),
}
