"""The enumeration ``Solver`` and the numbers of an optimiser, for Python."""


cdef class Optimizer:
    """What one step of an optimiser needs besides arrays: numbers only.

    ``t`` counts the steps made. The vectors it remembers are rows of an array
    that Python owns, ``n_slots(kind)`` of them.
    """

    def __init__(
        self,
        int kind,
        double learning_rate,
        *,
        double momentum=0.0,
        bint nesterov=False,
        double beta_1=0.9,
        double beta_2=0.999,
        double epsilon=1e-8,
        double weight_decay=0.0,
        long long t=0,
    ):
        if kind not in set(Solver):
            raise ValueError(f"{kind} is not a Solver")
        self.kind = kind
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.nesterov = nesterov
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.t = t

    def __reduce__(self):
        # Cython's own pickling would lose the numbers in some serialisers.
        return _restore, (
            self.kind,
            self.learning_rate,
            self.momentum,
            self.nesterov,
            self.beta_1,
            self.beta_2,
            self.epsilon,
            self.weight_decay,
            self.t,
        )


def _restore(
    kind, learning_rate, momentum, nesterov, beta_1, beta_2, epsilon, weight_decay, t
):
    return Optimizer(
        kind,
        learning_rate,
        momentum=momentum,
        nesterov=nesterov,
        beta_1=beta_1,
        beta_2=beta_2,
        epsilon=epsilon,
        weight_decay=weight_decay,
        t=t,
    )


def n_slots(int kind):
    """How many vectors of theta's length the optimiser remembers."""
    return slots(kind)
