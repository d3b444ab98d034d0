# The rows of a table.


cdef class Table:
    """All rows, as the engine reads them; checked once.

    Parameters
    ----------
    X : ndarray of shape (n, p), or tuple (data, indices, indptr, p) of a CSR matrix
        Indices are looked at again when they are read; nobody else may write to
        ``indptr``, nor to ``labels``.
    Y : ndarray of shape (n, q), default=None
    labels : ndarray of intc of shape (n,), default=None
        What the targets of a categorical cross-entropy are instead.
    sample_weight : ndarray of shape (n,), default=None
    """

    cdef Rows rows
    cdef readonly object X, data, indices, indptr, Y, labels, sample_weight
    cdef readonly Py_ssize_t n_rows, n_columns
    cdef readonly bint sparse
    # The least and the largest label.
    cdef int low, high
    cdef Py_ssize_t y_columns

    def __init__(self, X, *, Y=None, labels=None, sample_weight=None):
        self.sparse = isinstance(X, tuple)
        if self.sparse:
            self.data, self.indices, self.indptr, self.n_columns = X
            self.X = np.empty((0, self.n_columns), dtype=REAL)
        else:
            self.X = X
            self.data = np.empty(0, dtype=REAL)
            self.indices = np.empty(0, dtype=np.intc)
            self.indptr = np.empty(0, dtype=np.longlong)
        self.Y = np.empty((0, 1), dtype=REAL) if Y is None else Y
        self.labels = np.empty(0, dtype=np.intc) if labels is None else labels
        self.sample_weight = (
            np.empty(0, dtype=REAL) if sample_weight is None else sample_weight
        )
        # Before anything is read of them.
        for array in (
            self.X, self.data, self.indices, self.indptr, self.Y, self.labels,
            self.sample_weight,
        ):
            if not array.flags.aligned:
                raise ValueError(MISALIGNED)
        if self.sparse:
            self.read_sparse(self.data, self.indices, self.indptr)
        else:
            self.read_dense(self.X)
        self.rows.n, self.rows.p = self.n_rows, self.n_columns
        self.rows.sparse = self.sparse
        self.read_targets(self.Y, self.labels, self.sample_weight)

    cdef int read_dense(self, const real[:, ::1] X) except -1:
        self.n_rows, self.n_columns = X.shape[0], X.shape[1]
        if X.shape[0] * X.shape[1] > 0:
            self.rows.X = &X[0, 0]
        return 0

    cdef int read_sparse(
        self, const real[::1] data, const int[::1] indices, const long long[::1] indptr
    ) except -1:
        cdef Py_ssize_t i
        self.n_rows = indptr.shape[0] - 1
        if self.n_rows < 0 or indptr[0] != 0:
            raise ValueError("indptr must begin with 0")
        for i in range(self.n_rows):
            if indptr[i] > indptr[i + 1]:
                raise ValueError("indptr must not decrease")
        if indptr[self.n_rows] > min(data.shape[0], indices.shape[0]):
            raise ValueError("data and indices must be as long as indptr says")
        self.rows.indptr = &indptr[0]
        if data.shape[0] > 0:
            self.rows.data, self.rows.indices = &data[0], &indices[0]
        return 0

    cdef int read_targets(
        self, const real[:, ::1] Y, const int[::1] labels, const real[::1] w
    ) except -1:
        cdef Py_ssize_t i, n = self.n_rows
        for given in (Y.shape[0], labels.shape[0]):
            if given not in (0, n):
                raise ValueError(
                    f"targets for {given} rows were given with {n} rows of X"
                )
        if w.shape[0] not in (0, n):
            raise ValueError(f"sample_weight must have length {n}")
        self.y_columns = Y.shape[1]
        if Y.shape[0] * Y.shape[1] > 0:
            self.rows.Y = &Y[0, 0]
        if w.shape[0] > 0:
            self.rows.w = &w[0]
        if labels.shape[0] > 0:
            self.rows.labels = &labels[0]
            self.low = self.high = labels[0]
        for i in range(labels.shape[0]):
            self.low, self.high = min(self.low, labels[i]), max(self.high, labels[i])
        return 0

    def weight_sum(self, rows):
        """The sum of the weights of some rows, each of 1 without weights."""
        w = self.sample_weight
        if not len(w):
            return float(len(rows))
        with np.errstate(over="ignore"):  # an infinity is refused with words
            return float((w if len(rows) == len(w) else w[rows]).sum(dtype=np.float64))

    cdef int check_inputs(self, Topology t) except -1:
        if self.n_columns != t.n_columns:
            raise ValueError(f"X must have {t.n_columns} columns")
        if self.sparse and t.embeddings is not None:
            raise ValueError("X must be dense where there are embeddings")
        return 0

    cdef int check_targets(self, Topology t) except -1:
        cdef Py_ssize_t q = t.size[t.n_layers]
        if t.loss == Loss.CATEGORICAL_CROSS_ENTROPY:
            if self.rows.labels == NULL and self.n_rows > 0:
                raise ValueError(
                    f"targets for 0 rows were given with {self.n_rows} rows of X"
                )
            if self.low < 0 or self.high >= q:
                label = self.low if self.low < 0 else self.high
                raise ValueError(f"label {label} is not one of {q}")
        else:
            if self.y_columns != q:
                raise ValueError(f"Y must have {q} columns")
            if self.rows.Y == NULL and self.n_rows > 0:
                raise ValueError(
                    f"targets for 0 rows were given with {self.n_rows} rows of X"
                )
        return 0

    cdef Rows in_order(
        self, const Py_ssize_t[::1] order, Py_ssize_t start, Py_ssize_t stop
    ) except *:
        """The rows in an order, empty for their own, checked from start to stop."""
        cdef Rows rows = self.rows
        cdef Py_ssize_t i, n = self.n_rows
        cdef Py_ssize_t total = order.shape[0] if order.shape[0] > 0 else n
        if not 0 <= start <= stop <= total:
            raise ValueError(f"rows from {start} to {stop} are not within {total} rows")
        rows.order = NULL
        if order.shape[0] > 0:
            if <size_t> &order[0] % sizeof(Py_ssize_t) != 0:
                raise ValueError(MISALIGNED)
            rows.order = &order[0]
            for i in range(start, stop):
                if not 0 <= rows.order[i] < n:
                    raise ValueError(f"row {rows.order[i]} is not one of {n} rows")
        return rows
