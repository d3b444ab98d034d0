"""Formulas in C: of activations, of layers, of embeddings, of outputs.

In these texts ``@`` is the model's name with an underscore, ``real`` the type that is
computed with, and an ``r`` behind a number or a function of <math.h> makes it one of
that type; W is the type of the constants. ``written`` puts them in.
"""

from __future__ import annotations

import re

from ..core.activations import Activation

#: f(z) of each activation; an output's softmax is a function of the row.  (F2)
ACTIVATIONS: dict[Activation, str] = {
    Activation.IDENTITY: "z",  # (A1)
    Activation.RELU: "z < 0 ? 0 : z",  # (A2); a NaN stays a NaN
    Activation.SIGMOID: "@logistic(z)",  # (A3)
    Activation.TANH: "tanhr(z)",  # (A4)
    Activation.SELU: (  # (A7)
        "z > 0 ? 1.0507009873554805r * z : 1.7580993408473768r * expm1r(z)"
    ),
    Activation.SILU: "z * @logistic(z)",  # (A8)
    Activation.GELU: "0.5r * z * erfcr(-0.7071067811865476r * z)",  # (A9)
    Activation.MISH: "z * @mish_ratio(z)",  # (A10)
    Activation.LEAKY_RELU: "z > 0 ? z : 0.01r * z",  # (A11)
    Activation.EXP: "expr(z)",  # (A5)
    Activation.SOFTMAX: "@softmax",  # (A6)
}

_EACH = """\
static inline void @{name}(real *z_to_a, int n)
{{
    for (int i = 0; i < n; i++) {{
        const real z = z_to_a[i];
        z_to_a[i] = {formula};
    }}
}}"""

#: Functions by their name, in the order in which they may call each other.
FUNCTIONS: dict[str, str] = {
    # The exponents are not above 0, so that nothing overflows.
    "logistic": """\
static inline real @logistic(real z)
{
    const real e = expr(-fabsr(z));
    return z < 0 ? e / (1 + e) : 1 / (1 + e);
}""",
    "mish_ratio": """\
static inline real @mish_ratio(real z)  /* tanh(log(1 + exp(z))) */
{
    const real e = expr(-fabsr(z));
    const real top = z > 0 ? 1 + 2 * e : e * (2 + e);
    return top / (top + (z > 0 ? 2 * e * e : 2));
}""",
    "softmax": """\
static inline void @softmax(real *z_to_a, int n)
{
    real top = z_to_a[0], total = 0;
    for (int k = 1; k < n; k++)
        top = z_to_a[k] > top ? z_to_a[k] : top;
    for (int k = 0; k < n; k++) {
        z_to_a[k] = expr(z_to_a[k] - top);
        total += z_to_a[k];
    }
    for (int k = 0; k < n; k++)
        z_to_a[k] /= total;
}""",
    **{
        kind.name.lower(): _EACH.format(name=kind.name.lower(), formula=formula)
        for kind, formula in ACTIVATIONS.items()
        if kind not in (Activation.IDENTITY, Activation.SOFTMAX)
    },
    # w goes on to what follows in the array: of each unit its bias, then its weights.
    "dense": """\
static inline const W *@dense(const W *w, const real *x, int n_in, real *z, int n_out)
{
    for (int j = 0; j < n_out; j++) {
        real sum = (real)@READ(w);
        w++;
        for (int i = 0; i < n_in; i++, w++)
            sum += x[i] * (real)@READ(w);
        z[j] = sum;
    }
    return w;
}""",
    # Values at the edges of bins, then the vector of a missing number.
    "curve": """\
static inline const W *@curve(const W *w, int n_bins, int size, float position, real *x)
{
    const W *at = w + (n_bins + 1) * size;
    if (position == position) {
        const int bin = (int)position < n_bins ? (int)position : n_bins - 1;
        const real r = (real)(position - (float)bin);
        at = w + bin * size;
        for (int c = 0; c < size; c++) {
            const real low = (real)@READ(at + c), high = (real)@READ(at + size + c);
            x[c] = low + r * (high - low);
        }
    } else {
        for (int c = 0; c < size; c++)
            x[c] = (real)@READ(at + c);
    }
    return w + (n_bins + 2) * size;
}""",
    "embedding": """\
static inline const W *@embedding(const W *w, int n_codes, int size, int code, real *x)
{
    for (int c = 0; c < size; c++)
        x[c] = (real)@READ(w + code * size + c);
    return w + n_codes * size;
}""",
    # Scaled, smoothly clipped, and its place among the edges: 2.5 is in the middle of
    # the third bin. In double and float by turns, as in the training.
    "scaled": """\
static inline float @scaled(double x, double center, double scale)
{
    return (float)((x - center) / scale);
}""",
    "clipped": """\
static inline float @clipped(double x, double center, double scale, double bound)
{
    double z = (x - center) / scale / bound;
    z = z > 1e18 ? 1e18 : z < -1e18 ? -1e18 : z;  /* the square of more may overflow */
    return (float)(z / sqrt(1 + z * z) * bound);
}""",
    "position": """\
static inline float @position(float x, const EDGE *edges, int n_bins)
{
    int low = 0, high = n_bins;
    double left, right;
    if (x != x)
        return x;  /* missing */
    if ((double)x >= (double)@READ(edges + n_bins))
        return (float)n_bins;
    if ((double)x <= (double)@READ(edges))
        return 0;
    while (high - low > 1) {
        const int middle = low + (high - low) / 2;
        if ((double)@READ(edges + middle) <= (double)x)
            low = middle;
        else
            high = middle;
    }
    left = (double)@READ(edges + low);
    right = (double)@READ(edges + high);
    return (float)(1 / (right - left) * ((double)x - left) + (double)low);
}""",
    "known": """\
static inline int @known(int code, int n_codes)  /* or 0, which stands for unknown */
{
    return code > 0 && code < n_codes ? code : 0;
}""",
    "one_hot": """\
static inline void @one_hot(int code, int n, real *x)
{
    for (int k = 0; k < n; k++)
        x[k] = code == k + 1 ? 1 : 0;
}""",
    "target": """\
static inline real @target(real y, real mean, real scale, real low, real high)
{
    y = y * scale + mean;
    return y < low ? low : y > high ? high : y;
}""",
    "sort": """\
static inline void @sort(real *y, int n)
{
    for (int i = 1; i < n; i++) {
        const real moved = y[i];
        int at = i;
        for (; at > 0 && y[at - 1] > moved; at--)
            y[at] = y[at - 1];
        y[at] = moved;
    }
}""",
    "highest": """\
static inline int @highest(const real *p, int n)  /* the first of the largest */
{
    int best = 0;
    for (int k = 0; k < n; k++) {
        if (p[k] != p[k])
            return -1;
        if (p[k] > p[best])
            best = k;
    }
    return best;
}""",
}


class Words:
    """Puts a model's name and types into texts; knows which functions they call."""

    def __init__(self, name: str, **types: str) -> None:
        self._name, self._types = name, types
        self._called: set[str] = set()
        self._end = "f" if self.is_single else ""

    def __call__(self, text: str) -> str:
        called = set(re.findall(r"@([a-z][a-z_0-9]*)\(", text)) & FUNCTIONS.keys()
        for name in called - self._called:
            self._called.add(name)
            self(FUNCTIONS[name])
        for word, meaning in self._types.items():
            text = re.sub(rf"\b{word}\b", meaning, text)
        text = re.sub(r"\b(\d+\.\d+)r\b", rf"\g<1>{self._end}", text)
        text = re.sub(
            r"\b(erfc|exp|expm1|fabs|log|log1p|sqrt|tanh)r\(",
            rf"\g<1>{self._end}(",
            text,
        )
        text = re.sub(r"@(?=[A-Z])", f"{self._name.upper()}_", text)
        return text.replace("@", f"{self._name}_")

    @property
    def is_single(self) -> bool:
        return self._types["real"] == "float"

    def functions(self) -> list[str]:
        """Those that have been called, each behind those that it calls."""
        return [self(text) for name, text in FUNCTIONS.items() if name in self._called]
