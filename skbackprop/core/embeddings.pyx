"""The shape of the embeddings, for Python; the mathematics is in the .pxd."""

import numpy as np


cdef class Embeddings:
    """Which columns a table has, and the inputs that they become.

    Parameters
    ----------
    edges : sequence of arrays
        For every column of numbers the edges of its bins, strictly increasing: two or
        more. Such a column of the table holds positions p = k + r from 0 to the number
        of bins, for a value at the fraction r of bin k; not a number where missing.
    n_plain : int
        Columns that are inputs as they are; behind the numbers.
    cardinalities : sequence of int
        How many codes each column of codes has: 0 to one less; behind the plain ones.
    dimension, code_dimension : int
        Inputs that a number, and a code, becomes.
    """

    def __init__(self, edges, n_plain, cardinalities, dimension, code_dimension):
        edges = [np.array(each, dtype=np.float64) for each in edges]
        cardinalities = [int(each) for each in cardinalities]
        for each in edges:
            if each.ndim != 1 or len(each) < 2 or not np.isfinite(each).all():
                raise ValueError("edges must be two or more finite numbers a column")
            if np.any(np.diff(each) <= 0):
                raise ValueError("edges must be strictly increasing")
        if n_plain < 0 or min(cardinalities, default=1) < 1:
            raise ValueError("n_plain must be at least 0 and cardinalities at least 1")
        if dimension < 1 or code_dimension < 1:
            raise ValueError("dimension and code_dimension must be at least 1")
        n = len(edges)
        # Python's integers do not wrap.
        total = int(dimension) * sum(len(each) - 1 + 3 for each in edges)
        total += int(code_dimension) * sum(cardinalities)
        if max(total, dimension, code_dimension) > np.iinfo(np.intp).max // 8:
            raise ValueError(
                f"Embeddings of {dimension} and {code_dimension} inputs have {total} "
                "parameters, more than an array can hold."
            )
        self.n_numbers, self.n_plain, self.n_codes = n, n_plain, len(cardinalities)
        self.dimension, self.code_dimension = dimension, code_dimension
        self.n_columns = n + n_plain + len(cardinalities)
        self.n_outputs = n * dimension + n_plain + len(cardinalities) * code_dimension
        if self.n_outputs < 1:
            raise ValueError("there must be a column")
        self.bin_at = _starts([len(each) - 1 for each in edges])
        self.row_at_ = _starts(cardinalities)
        self.edge = np.concatenate([np.empty(0), *edges])
        self.group_at = _starts([
            self.bin_at[n] * dimension, n * dimension, n * dimension, n * dimension,
            self.row_at_[len(cardinalities)] * code_dimension,
        ])
        self.n_parameters = self.group_at[<int> N_GROUPS]

    def __reduce__(self):
        return Embeddings, (
            self.edges, self.n_plain, self.cardinalities, self.dimension,
            self.code_dimension,
        )

    @property
    def edges(self):
        at, edge = np.asarray(self.bin_at), np.asarray(self.edge)
        return [
            edge[at[f] + f : at[f + 1] + f + 1].copy() for f in range(self.n_numbers)
        ]

    @property
    def cardinalities(self):
        return np.diff(self.row_at_).tolist()

    @property
    def groups(self):
        """Name, start and stop in theta, shape, and whether it decays, of each."""
        at = np.asarray(self.group_at).tolist()
        D, E = self.dimension, self.code_dimension
        names = {"V": (True, D), "b": (False, D), "u": (True, D), "m": (False, D)}
        names["table"] = (True, E)
        return [
            (name, start, stop, ((stop - start) // columns, columns), decays)
            for (name, (decays, columns)), start, stop in zip(
                names.items(), at, at[1:], strict=False
            )
        ]

    def views(self, theta):
        """V, b, u, m and the tables of a flat array, as views.

        V is a list of arrays of shape (n_bins, dimension), one for each number, b, u
        and m have shape (n_numbers, dimension), and the tables are a list of arrays of
        shape (cardinality, code_dimension).
        """
        at, D, E = self.group_at, self.dimension, self.code_dimension
        curves = theta[at[CURVE] : at[CURVE + 1]].reshape(-1, D)
        table = theta[at[TABLE] : at[TABLE + 1]].reshape(-1, E)
        b, u, m = (
            theta[at[group] : at[group + 1]].reshape(-1, D)
            for group in (BIAS, SLOPE, MISSING)
        )
        V = np.split(curves, self.bin_at[1:-1]) if self.n_numbers else []
        tables = np.split(table, self.row_at_[1:-1]) if self.n_codes else []
        return V, b, u, m, tables


def _starts(lengths):
    """Where parts of these lengths begin, and the last ends."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)
