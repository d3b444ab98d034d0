# A network and its buffers.


cdef class Workspace:
    """A network of parameters theta, and room for calls of ``capacity`` rows.

    Parameters
    ----------
    topology : Topology
    theta : ndarray of shape (n_parameters,)
        Read anew in every call; it is not copied.
    capacity : int
        Rows that a call may have at most.
    sparse : bool, default=False
        Whether it is for tables of sparse rows.
    backward : bool, default=True
        Whether it is for gradients, and not for outputs alone.
    dropout : bool, default=False
        Whether units may be dropped.
    input_gradient : bool, default=False
        Whether it is for dL/dX too.
    """

    cdef Network net
    cdef readonly Topology topology
    cdef readonly object theta
    cdef readonly Py_ssize_t capacity
    cdef readonly bint sparse, backward, dropout, input_gradient
    # What the structs point to: one array, or one for each matrix.
    cdef list arrays
    cdef real* base
    cdef Py_ssize_t used

    def __init__(
        self, Topology topology not None, theta, Py_ssize_t capacity, *,
        bint sparse=False, bint backward=True, bint dropout=False,
        bint input_gradient=False,
    ):
        self.sparse, self.backward = sparse, backward
        self.dropout, self.input_gradient = dropout, input_gradient
        self.make(topology, theta, theta, capacity)

    @staticmethod
    def reals(Topology topology not None, Py_ssize_t capacity, *, bint sparse=False):
        """How many numbers a workspace for gradients takes."""
        cdef Workspace self = Workspace.__new__(Workspace)
        self.sparse, self.backward = sparse, True
        self.prepare(topology, capacity)
        self.arrange()
        return self.used

    cdef int make(
        self, Topology topology, object theta, const real[::1] parameters,
        Py_ssize_t capacity,
    ) except -1:
        check_aligned(parameters)
        if parameters.shape[0] != topology.n_parameters:
            raise ValueError(f"theta must have length {topology.n_parameters}")
        if self.sparse and topology.embeddings is not None:
            raise ValueError("X must be dense where there are embeddings")
        if self.input_gradient and topology.embeddings is not None:
            raise ValueError("dX must be empty: embeddings have no gradient by X")
        if self.sparse and topology.kind[0] != DENSE:
            raise ValueError(
                f"X must be dense where layer 1 is of kind {topology.kind[0]}"
            )
        self.prepare(topology, capacity)
        self.theta = theta
        self.net.theta = &parameters[0]
        if not APART:
            self.arrange()  # to know how much it is
            self.base = self.reals_apart(self.used)
            self.used = 0
        self.arrange()
        if self.backward:
            self.make_sums()
        return 0

    cdef int prepare(self, Topology topology, Py_ssize_t capacity) except -1:
        """The layers, without buffers."""
        cdef Py_ssize_t j
        cdef object array
        cdef unsigned char[::1] layers
        if not 0 <= capacity <= INT_MAX:
            raise ValueError(
                f"a block of {capacity} rows is over BLAS's limit of {INT_MAX}"
            )
        for j in range(topology.n_layers + 1):
            if topology.size[j] > INT_MAX:
                raise ValueError(
                    f"layer {j} has {topology.size[j]} units, over BLAS's limit of "
                    f"{INT_MAX}"
                )
        self.topology, self.capacity = topology, capacity
        array = np.zeros((topology.n_layers + 1) * sizeof(Layer), dtype=np.uint8)
        self.arrays = [array]
        layers = array
        self.net.layers = <Layer*> &layers[0]
        self.net.J = topology.n_layers
        self.net.block = block_rows(topology.n_parameters)
        self.net.has_embeddings = topology.embeddings is not None
        self.net.loss = LossOf(topology.loss, topology.from_z, NULL, 0)
        if topology.parameters.shape[0] > 0:
            self.net.loss.parameters = &topology.parameters[0]
            self.net.loss.n_parameters = topology.parameters.shape[0]
        return 0

    cdef real* reals_apart(self, Py_ssize_t n) except NULL:
        """An allocation for n reals, from where a vector of any level may begin."""
        cdef object array = np.empty(n + 64 // sizeof(real), dtype=REAL)
        cdef real[::1] view = array
        cdef uintptr_t address = <uintptr_t> &view[0]
        self.arrays.append(array)
        return <real*> (address + (64 - address % 64) % 64)

    cdef real* take(self, Py_ssize_t n) except? NULL:
        """Room for n reals; NULL while they are only counted."""
        cdef real* taken = NULL
        if APART and self.theta is not None:
            taken = self.reals_apart(n)
        elif self.base != NULL:
            taken = self.base + self.used
        self.used += n
        return taken

    cdef Matrix take_panels(self, Py_ssize_t columns) except *:
        return in_panels(
            self.take(elements(self.capacity, columns)), self.capacity, columns
        )

    cdef int arrange(self) except -1:
        """Every matrix of the network; twice: to count the reals, and to place them."""
        cdef Py_ssize_t j, J = self.net.J, n = self.capacity
        cdef Py_ssize_t q = self.topology.size[J]
        cdef Layer* inputs = &self.net.layers[0]
        cdef bint embedded = self.net.has_embeddings
        if embedded:
            self.arrange_embeddings(self.topology.embeddings)
        if not self.sparse or self.input_gradient:
            inputs.A = self.take_panels(self.topology.size[0])
        if not embedded:
            inputs.delta = inputs.A  # which nobody needs any more by then
        for j in range(1, J + 1):
            self.arrange_layer(j, &self.net.layers[j])
        if self.backward:
            self.net.Y = self.take(align_up(n * q))
            self.net.w = self.take(align_up(n))
            self.net.delta_rows = self.take(align_up(n * q))
        return 0

    cdef int arrange_embeddings(self, Embeddings e) except -1:
        cdef EmbeddingLayer* layer = &self.net.embeddings
        cdef Py_ssize_t curves = align_up(curve_elements(e))
        layer.n_numbers, layer.n_plain = e.n_numbers, e.n_plain
        layer.n_codes, layer.n_outputs = e.n_codes, e.n_outputs
        layer.dimension, layer.code_dimension = e.dimension, e.code_dimension
        layer.bin_at, layer.row_at = &e.bin_at[0], &e.row_at_[0]
        layer.group_at = &e.group_at[0]
        layer.edge = &e.edge[0] if e.edge.shape[0] > 0 else NULL
        layer.theta = self.net.theta
        layer.curves = self.take(curves)
        layer.rows = self.take(align_up(self.capacity * e.n_outputs))
        if self.backward:
            self.net.layers[0].delta = self.take_panels(e.n_outputs)
            layer.at_edges = self.take(curves)
        return 0

    cdef int arrange_layer(self, Py_ssize_t j, Layer* layer) except -1:
        cdef Topology t = self.topology
        cdef Py_ssize_t p = t.size[j - 1], q = t.size[j], n = self.capacity
        cdef Py_ssize_t group = t.first_group[j - 1]
        cdef bint goes_on = j > 1 or self.input_gradient or self.net.has_embeddings
        cdef bint packs
        layer.kind, layer.activation = t.kind[j - 1], t.activation[j - 1]
        layer.p, layer.q, layer.is_output = p, q, j == self.net.J
        layer.group, layer.n_groups = group, t.first_group[j] - group
        if self.net.theta != NULL:
            layer.W = self.net.theta + t.group_start[group]
            if t.biased[j - 1]:
                layer.b = self.net.theta + t.group_start[t.first_group[j] - 1]
        if layer.kind == DENSE:
            packs = (self.backward or n > FEW) and not (self.sparse and j == 1)
            self.arrange_packed(layer, packs, self.backward and goes_on)
        if layer.is_output:
            layer.Z = row_major(self.take(align_up(n * q)), q)
        else:
            layer.Z = self.take_panels(q)
        layer.A = layer.Z
        if needs_z(layer.activation) or (self.dropout and not layer.is_output):
            layer.A.data = self.take(
                align_up(n * q) if layer.is_output else elements(n, q)
            )
        # Of the output layer also where a Z_J that is not narrow is in panels.
        if self.backward or layer.is_output:
            layer.delta = self.take_panels(q)
        return 0

    cdef int arrange_packed(self, Layer* layer, bint packs, bint goes_on) except -1:
        """Room for W as the products read it, where they do not read theta."""
        cdef Py_ssize_t p = layer.p, q = layer.q
        cdef bint narrow = layer.is_output and is_narrow(q)
        if not PANELS:
            return 0
        if packs and not narrow:
            layer.packed = in_panels(self.take(packed_elements(p, q)), p + 1, q)
        if goes_on or (packs and narrow):
            layer.transposed = in_panels(self.take(packed_elements(q, p)), q + 1, p)
        return 0

    cdef int make_sums(self) except -1:
        """Where the parts of sums are, and the labels of the batch."""
        cdef Py_ssize_t j, g, total = 0
        cdef Py_ssize_t[::1] start = self.topology.group_start
        cdef Layer* layer
        cdef double[::1] sums
        cdef int[::1] labels
        for j in range(1, self.net.J + 1):
            layer = &self.net.layers[j]
            layer.first_penalty = total
            if layer.kind == DENSE:
                total += n_blocks(layer.p, layer.q)
            else:
                for g in range(layer.group, layer.group + layer.n_groups):
                    total += group_blocks(start[g + 1] - start[g])
        self.arrays.append(np.empty(max(self.capacity, 1), dtype=np.intc))
        labels = self.arrays[len(self.arrays) - 1]
        self.arrays.append(np.zeros(total + n_chunks(self.capacity) + 1))
        sums = self.arrays[len(self.arrays) - 1]
        self.net.labels = &labels[0]
        self.net.penalties, self.net.n_penalties = &sums[0], total
        self.net.losses = &sums[total]
        return 0

    cdef int check(self, Table table, Py_ssize_t n, bint backward) except -1:
        """Refuse a table or a number of rows that this workspace is not for."""
        table.check_inputs(self.topology)
        if table.sparse != self.sparse or (backward and not self.backward):
            raise ValueError(
                f"the workspace is for sparse={bool(self.sparse)} and "
                f"backward={bool(self.backward)}"
            )
        if n > self.capacity:
            raise ValueError(f"{n} rows are over the workspace's {self.capacity}")
        return 0
