"""The enumeration ``Solver`` and the numbers of an optimiser, for Python."""


cdef class Optimizer:
    """What the steps of an optimiser need besides arrays: numbers only.

    ``t`` counts the steps made. The vectors it remembers are rows of an array
    that Python owns, ``n_slots(kind)`` of them.

    Attributes
    ----------
    max_norm : float
        The gradient's norm is cut to it; 0, as at first, for no limit.  (C1)
    rates, decays : ndarray of shape (n_groups,) or None
        Factors of learning rate and weight decay, one for each of the topology's
        ``groups``; None, as at first, for rates of 1, and for decays of 1 for weights
        and of 0 for biases.
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
        self.t = 0
        self.max_norm = 0
        self.rates = self.decays = None

    def __reduce__(self):
        # Cython's own pickling would lose the numbers in some serialisers.
        keywords = {
            name: getattr(self, name)
            for name in (
                "momentum", "nesterov", "beta_1", "beta_2", "epsilon", "weight_decay"
            )
        }
        attributes = {
            name: getattr(self, name) for name in ("t", "max_norm", "rates", "decays")
        }
        return _restore, (self.kind, self.learning_rate, keywords, attributes)


def _restore(kind, learning_rate, keywords, attributes):
    optimizer = Optimizer(kind, learning_rate, **keywords)
    for name, value in attributes.items():
        setattr(optimizer, name, value)
    return optimizer


def n_slots(int kind):
    """How many vectors of theta's length the optimiser remembers."""
    return slots(kind)
