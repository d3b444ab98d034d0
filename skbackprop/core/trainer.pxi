# A training.


cdef class Trainer:
    """Mini-batches of an optimiser on a table; made once for a fit.

    Parameters
    ----------
    workspace : Workspace
        Its theta is written to; its capacity is the longest batch.
    table : Table
    optimizer : Optimizer
    moments : ndarray of shape (n_slots, n_parameters)
    batch_size : int
    mean_weight : float, default=1
        Of the rows: a batch's mean is over its rows times this.
    alpha : float, default=0
        Of the L2 penalty.  (R1)
    dropout : tuple of float and int, default=(0.0, 0)
        Probability that a hidden unit is dropped, and the seed of the masks.  (D1)

    Attributes
    ----------
    grad : ndarray of shape (n_parameters,)
        Where gradients are computed; whole only where they are clipped.
    factors : ndarray of shape (n_steps, 3), or None
        What the steps of an epoch multiply learning rate, dropout and weight decay
        by.  (S0)
    """

    cdef readonly Workspace workspace
    cdef readonly Table table
    cdef readonly Optimizer optimizer
    cdef readonly object moments, grad
    cdef Parameters parameters
    cdef Py_ssize_t batch_size
    cdef double mean_weight, alpha, dropout
    cdef uint64_t seed
    cdef const double[:, ::1] planned
    cdef unsigned char[::1] groups

    def __init__(
        self,
        Workspace workspace not None,
        Table table not None,
        Optimizer optimizer not None,
        moments,
        Py_ssize_t batch_size,
        double mean_weight=1,
        double alpha=0,
        dropout=(0.0, 0),
    ):
        self.workspace, self.table, self.optimizer = workspace, table, optimizer
        self.moments, self.grad = moments, np.empty_like(workspace.theta)
        self.batch_size, self.mean_weight, self.alpha = batch_size, mean_weight, alpha
        self.dropout, self.seed = dropout
        self.planned = None
        if batch_size < 1:
            raise ValueError("batch_size must be at least 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1). Got {self.dropout!r}.")
        if self.dropout > 0 and not workspace.dropout:
            raise ValueError("the workspace is not for dropout")
        if not optimizer.max_norm >= 0:
            raise ValueError(
                f"max_norm must not be negative. Got {optimizer.max_norm!r}."
            )
        workspace.check(table, 0, True)
        table.check_targets(workspace.topology)
        self.point(workspace.theta, self.grad, moments)
        self.make_groups()

    cdef int point(
        self, real[::1] theta, real[::1] grad, real[:, ::1] moments
    ) except -1:
        """Where parameters are, what is remembered of them, and their gradient."""
        cdef Topology t = self.workspace.topology
        cdef int n_slots = slots(self.optimizer.kind)
        if moments.shape[0] != n_slots or moments.shape[1] != t.n_parameters:
            raise ValueError(f"moments must have shape {(n_slots, t.n_parameters)}")
        check_address(&moments[0, 0])
        self.parameters.theta, self.parameters.grad = &theta[0], &grad[0]
        self.parameters.first = &moments[0, 0]
        self.parameters.second = &moments[n_slots - 1, 0]
        self.parameters.n = t.n_parameters
        return 0

    cdef int make_groups(self) except -1:
        """Each parameter group's factors of learning rate and decay."""
        cdef Topology t = self.workspace.topology
        cdef Py_ssize_t g, count = len(t.groups)
        rates = _factors("rates", self.optimizer.rates, [1.0] * count)
        decays = _factors(
            "decays", self.optimizer.decays, [float(group.decays) for group in t.groups]
        )
        self.groups = np.empty(count * sizeof(Group), dtype=np.uint8)
        self.parameters.groups = <Group*> &self.groups[0]
        for g in range(count):
            self.parameters.groups[g] = Group(
                t.groups[g].start, t.groups[g].stop, rates[g], decays[g],
                t.groups[g].penalised,
            )
        return 0

    @property
    def factors(self):
        return None if self.planned is None else np.asarray(self.planned)

    @factors.setter
    def factors(self, value):
        if value is None:
            self.planned = None
            return
        value = np.array(value, dtype=np.float64, order="C")
        if value.ndim != 2 or value.shape[1] != N_FACTORS:
            raise ValueError(
                f"factors must have {<int> N_FACTORS} columns. Got shape {value.shape}."
            )
        if not np.all(np.isfinite(value)) or np.any(value < 0):
            raise ValueError("factors must be finite numbers that are not negative")
        if self.dropout > 0 and np.any(self.dropout * value[:, <int> DROPOUT_] >= 1):
            raise ValueError("factors must leave dropout below 1")
        self.planned = value

    def run(
        self,
        const Py_ssize_t[::1] order,
        Py_ssize_t start,
        Py_ssize_t stop,
        double loss,
        int thread=0,
        ThreadTeam team=None,
    ):
        """Mini-batches of rows start to stop; loss plus each one's value times n.

        A run ends at once where the loss is not finite. Each thread of a team makes
        the same call with its number. A team that is called off leaves theta, moments
        and the optimiser half stepped, and the loss without a meaning.
        """
        cdef Network* net = &self.workspace.net
        cdef Optimizer opt = self.optimizer
        cdef Rows rows = self.table.in_order(order, start, stop)
        cdef Batch batch = batch_of(start, 0)
        cdef Thread me = checked_thread(team, thread)
        cdef long long t = opt.t
        cdef double value
        cdef unsigned int before
        self.check_run(start, stop)
        with nogil:
            before = flush()
            if join_team(me):
                pack_parameters(net, me)
                while batch.start < stop and isfinite(loss) and not stopped(me):
                    t += 1
                    self.begin_batch(&batch, t, stop)
                    barrier(me)
                    forward_backward(net, &rows, &batch, True, me)
                    barrier(me)
                    # Read before the barrier after which it is written again.
                    value = sum_all(net.losses, n_chunks(batch.n))
                    if opt.max_norm > 0:
                        gradients(
                            net, &rows, &batch, me, False, self.parameters.grad
                        )
                        barrier(me)
                        # Each thread computes all of it: less than to wait for others.
                        batch.step.clip = clip_factor(opt.max_norm, &self.parameters)
                        barrier(me)
                    update_layers(net, &rows, &batch, &self.parameters, opt, me)
                    barrier(me)
                    value += self.alpha * sum_all(net.penalties, net.n_penalties)
                    loss += batch.scale * value * batch.n
                    batch.start += batch.n
            restore(before)
        if me.number == 0:
            opt.t = t
        return loss

    cdef int check_run(self, Py_ssize_t start, Py_ssize_t stop) except -1:
        cdef Py_ssize_t steps = (stop + self.batch_size - 1) // self.batch_size
        if min(self.batch_size, stop - start) > self.workspace.capacity:
            raise ValueError(
                f"batches of {min(self.batch_size, stop - start)} rows are over the "
                f"workspace's {self.workspace.capacity}"
            )
        if self.planned is not None and self.planned.shape[0] < steps:
            raise ValueError(f"factors must have {steps} rows")
        return 0

    cdef void begin_batch(
        self, Batch* batch, long long t, Py_ssize_t stop
    ) noexcept nogil:
        """The rows of step t, its dropout and its factors."""
        cdef Py_ssize_t step = batch.start // self.batch_size
        cdef double rate_factor = 1, dropout_factor = 1, decay_factor = 1
        if self.planned is not None:
            rate_factor = self.planned[step, RATE_]
            dropout_factor = self.planned[step, DROPOUT_]
            decay_factor = self.planned[step, DECAY_]
        batch.n = min(self.batch_size, stop - batch.start)
        batch.scale = 1 / (batch.n * self.mean_weight)
        batch.mask = mask_of(self.dropout * dropout_factor, self.seed, t)
        batch.step.learning_rate = rate(self.optimizer, t) * rate_factor
        batch.step.decay = decay(self.optimizer) * rate_factor * decay_factor
        batch.step.l2 = self.alpha * batch.scale
        batch.step.clip = 1

    def apply(self, real[::1] grad not None):
        """One step of the optimiser by a gradient that is whole.  (O1) to (O5)"""
        cdef Optimizer opt = self.optimizer
        cdef Batch batch = batch_of(0, 0)
        cdef Parameters* w = &self.parameters
        cdef Py_ssize_t g
        cdef unsigned int before
        check_aligned(grad)
        if grad.shape[0] != w.n:
            raise ValueError(f"grad must have length {w.n}")
        before = flush()
        opt.t += 1
        batch.step.learning_rate = rate(opt, opt.t)
        batch.step.decay = decay(opt)
        for g in range(len(self.workspace.topology.groups)):
            update_part(
                w, opt, &batch, g, &grad[0] + w.groups[g].start, w.groups[g].start,
                w.groups[g].stop - w.groups[g].start,
            )
        restore(before)


def _factors(name, given, default):
    array = np.array(default if given is None else given, dtype=np.float64)
    if array.shape != (len(default),):
        raise ValueError(
            f"{name} must have length {len(default)}. Got shape {array.shape}."
        )
    return array
