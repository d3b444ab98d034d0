"""Embeddings: from the columns of a table to A_0, and from dL/dA_0 to their gradient.

The columns of X are numbers, then plain columns, then codes.

* A number comes as its position p among the edges t_0 < ... < t_B of its bins: p =
  k + r for a value at the fraction r of bin k, not a number where it is missing. It
  becomes D inputs: a curve that is linear between the edges, or a vector of its own
  where it is missing. Of the curve the values at the edges are kept in ``curves``,
  made anew after every step, so that a value costs the same for any number of
  bins.  (E1)
* A plain column is an input as it is.
* A code k becomes row k of a table.  (E2)

In theta the groups lie one behind the other: V, b, u, m of all numbers, then the
tables.
"""

from libc.string cimport memcpy

from .gather cimport Rows, row_at
from .real cimport real

cdef enum:
    # The groups of parameters, in their order in theta.
    CURVE, BIAS, SLOPE, MISSING, TABLE, N_GROUPS


cdef class Embeddings:
    # Columns of X of each kind; D; and what they become.
    cdef readonly Py_ssize_t n_numbers, n_plain, n_codes, dimension, code_dimension
    cdef readonly Py_ssize_t n_columns, n_outputs, n_parameters
    # Where number f's bins begin among all, and code c's rows; each one longer.
    cdef Py_ssize_t[::1] bin_at, row_at_
    # The edges of all numbers, one more than bins for each.
    cdef double[::1] edge
    # Where each group begins in theta, and ends.
    cdef Py_ssize_t[::1] group_at


cdef struct EmbeddingLayer:
    # An Embeddings, as pointers into it, and into theta.
    Py_ssize_t n_numbers, n_plain, n_codes, dimension, code_dimension, n_outputs
    const Py_ssize_t* bin_at
    const Py_ssize_t* row_at
    const Py_ssize_t* group_at
    const double* edge
    const real* theta
    # Values of the curves at the edges; what the edges gather on the way back; and the
    # batch, row-major: A_0, later dL/dA_0.
    real* curves
    real* at_edges
    real* rows


cdef inline Py_ssize_t curve_at(
    const Py_ssize_t* bin_at, Py_ssize_t f, Py_ssize_t dimension
) noexcept nogil:
    """Where the curve of number f begins among all: it has a value more than bins."""
    return (bin_at[f] + f) * dimension


cdef inline Py_ssize_t curve_elements(Embeddings e) noexcept nogil:
    return curve_at(&e.bin_at[0], e.n_numbers, e.dimension)


cdef inline Py_ssize_t bin_of(real p, Py_ssize_t n_bins, real* r) noexcept nogil:
    """k and r of p = k + r, inside the bins; p is a number."""
    cdef real inside = 0 if p < 0 else p
    cdef Py_ssize_t k
    inside = <real> n_bins if inside > n_bins else inside
    k = min(<Py_ssize_t> inside, n_bins - 1)
    r[0] = inside - <real> k
    return k


cdef inline Py_ssize_t code_of(real x, Py_ssize_t n_rows) noexcept nogil:
    """The row of a code; the first for what is none, which stands for unknown."""
    return <Py_ssize_t> x if 0 <= x < n_rows else 0


cdef inline void draw_curves(
    const EmbeddingLayer* e, Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """Values at the edges, numbers first to last: b + t_k u + sum_{i<k} V_i.  (E1)"""
    cdef Py_ssize_t f, k, c, D = e.dimension, at
    cdef const real* V
    cdef const real* b
    cdef const real* u
    cdef real* curve
    cdef real edge, step
    for f in range(first, last):
        V = e.theta + e.group_at[CURVE] + e.bin_at[f] * D
        b = e.theta + e.group_at[BIAS] + f * D
        u = e.theta + e.group_at[SLOPE] + f * D
        curve = e.curves + curve_at(e.bin_at, f, D)
        at = e.bin_at[f] + f
        edge = <real> e.edge[at]
        for c in range(D):
            curve[c] = b[c] + edge * u[c]
        for k in range(e.bin_at[f + 1] - e.bin_at[f]):
            step = <real> (e.edge[at + k + 1] - e.edge[at + k])
            for c in range(D):
                curve[D + c] = curve[c] + V[k * D + c] + step * u[c]
            curve += D


cdef inline void embed(
    const EmbeddingLayer* e,
    const Rows* rows,
    Py_ssize_t start,
    Py_ssize_t first,
    Py_ssize_t last,
) noexcept nogil:
    """A_0 of the batch's rows first to last, row-major.  (E1) (E2)"""
    cdef Py_ssize_t i, f, c, k, D = e.dimension, E = e.code_dimension
    cdef const real* x
    cdef const real* low
    cdef const real* high
    cdef real* out
    cdef real r
    for i in range(first, last):
        x = rows.X + row_at(rows, start + i) * rows.p
        out = e.rows + i * e.n_outputs
        for f in range(e.n_numbers):
            if x[f] == x[f]:
                k = bin_of(x[f], e.bin_at[f + 1] - e.bin_at[f], &r)
                low = e.curves + curve_at(e.bin_at, f, D) + k * D
                high = low + D
                if D == 8:  # a length that is known makes it one vector
                    for c in range(8):
                        out[c] = low[c] + r * (high[c] - low[c])
                else:
                    for c in range(D):
                        out[c] = low[c] + r * (high[c] - low[c])
            else:
                memcpy(out, e.theta + e.group_at[MISSING] + f * D, D * sizeof(real))
            out += D
        x += e.n_numbers
        memcpy(out, x, e.n_plain * sizeof(real))
        out += e.n_plain
        x += e.n_plain
        for c in range(e.n_codes):
            k = e.row_at[c] + code_of(x[c], e.row_at[c + 1] - e.row_at[c])
            memcpy(out, e.theta + e.group_at[TABLE] + k * E, E * sizeof(real))
            out += E


cdef inline void number_gradient(
    const EmbeddingLayer* e,
    Py_ssize_t f,
    const Rows* rows,
    Py_ssize_t start,
    Py_ssize_t n,
    bint add,
    real* grad,
) noexcept nogil:
    """dL/dV, dL/db, dL/du and dL/dm of number f from dL/dA_0, or added.  (E3)

    A value at the fraction r of bin k weighs 1 - r at edge k and r at edge k + 1;
    ``at_edges`` sums that up, and then S_k = what edges k and above have gathered:
    dL/dV_k = S_{k+1}, dL/db = S_0, dL/du = t_0 S_0 + sum_{k>0} (t_k - t_{k-1}) S_k.
    """
    cdef Py_ssize_t i, c, k, D = e.dimension, n_bins = e.bin_at[f + 1] - e.bin_at[f]
    cdef Py_ssize_t edges_at = e.bin_at[f] + f
    cdef real* dV = grad + e.group_at[CURVE] + e.bin_at[f] * D
    cdef real* db = grad + e.group_at[BIAS] + f * D
    cdef real* du = grad + e.group_at[SLOPE] + f * D
    cdef real* dm = grad + e.group_at[MISSING] + f * D
    cdef real* at_edges = e.at_edges + curve_at(e.bin_at, f, D)
    cdef real* low
    cdef const real* delta
    cdef real r, x, step
    for c in range((n_bins + 1) * D):
        at_edges[c] = 0
    if not add:
        for c in range(D):
            db[c] = 0
            du[c] = 0
            dm[c] = 0
        for c in range(n_bins * D):
            dV[c] = 0
    for i in range(n):
        x = rows.X[row_at(rows, start + i) * rows.p + f]
        delta = e.rows + i * e.n_outputs + f * D
        if x == x:
            k = bin_of(x, n_bins, &r)
            low = at_edges + k * D
            if D == 8:
                for c in range(8):
                    low[8 + c] += r * delta[c]
                    low[c] += delta[c] - r * delta[c]
            else:
                for c in range(D):
                    low[D + c] += r * delta[c]
                    low[c] += delta[c] - r * delta[c]
        else:
            for c in range(D):
                dm[c] += delta[c]
    for k in range(n_bins, 0, -1):
        low = at_edges + k * D
        step = <real> (e.edge[edges_at + k] - e.edge[edges_at + k - 1])
        for c in range(D):
            du[c] += step * low[c]
            dV[(k - 1) * D + c] += low[c]
            low[c - D] += low[c]
    for c in range(D):
        du[c] += <real> e.edge[edges_at] * at_edges[c]
        db[c] += at_edges[c]


cdef inline void code_gradient(
    const EmbeddingLayer* e,
    Py_ssize_t column,
    const Rows* rows,
    Py_ssize_t start,
    Py_ssize_t n,
    bint add,
    real* grad,
) noexcept nogil:
    """dL/dtable of a code's column: row k has the sum of the deltas of code k.  (E4)"""
    cdef Py_ssize_t i, c, k, E = e.code_dimension
    cdef Py_ssize_t n_rows = e.row_at[column + 1] - e.row_at[column]
    cdef Py_ssize_t x_at = e.n_numbers + e.n_plain + column
    cdef Py_ssize_t at = e.n_numbers * e.dimension + e.n_plain + column * E
    cdef real* table = grad + e.group_at[TABLE] + e.row_at[column] * E
    cdef const real* delta
    if not add:
        for c in range(n_rows * E):
            table[c] = 0
    for i in range(n):
        k = code_of(rows.X[row_at(rows, start + i) * rows.p + x_at], n_rows)
        delta = e.rows + i * e.n_outputs + at
        for c in range(E):
            table[k * E + c] += delta[c]
