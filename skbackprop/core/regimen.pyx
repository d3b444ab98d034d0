"""The regimen of a training, for Python."""

import numpy as np


cdef class Regimen:
    """What a training does besides gradient and step: numbers only.

    Parameters
    ----------
    n_groups : int
        ``topology.n_groups``: W_1, b_1, W_2, b_2, ..., then the embeddings' groups.
    dropout : float
        Probability that a hidden unit is dropped, from 0 to below 1.  (D1)
    seed : int
        Of the masks, from 0 to 2**64 - 1.
    max_norm : float
        The gradient's norm is cut to it; 0 for no limit.  (C1)
    rates, decays : sequence of float of length n_groups, or None
        Factors of the learning rate and of weight decay, by group; None for rates of
        one, and for decays of one for weights and of zero for biases.
    """

    def __init__(
        self, n_groups, *, dropout=0.0, seed=0, max_norm=0.0, rates=None, decays=None
    ):
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1). Got {dropout!r}.")
        if not max_norm >= 0:
            raise ValueError(f"max_norm must not be negative. Got {max_norm!r}.")
        self.dropout, self.seed, self.max_norm = dropout, seed, max_norm
        self.rate_factor = _factors("rates", rates, n_groups, np.ones(n_groups))
        weights = np.arange(n_groups) % 2 == 0
        self.decay_factor = _factors("decays", decays, n_groups, weights * 1.0)
        self.planned = np.empty((0, <int> N_PLANNED))

    def __reduce__(self):
        # Without the plan, which is written anew before every epoch.
        return _restore, (
            len(self.rates), self.dropout, self.seed, self.max_norm, self.rates,
            self.decays,
        )

    @property
    def rates(self):
        return tuple(np.asarray(self.rate_factor).tolist())

    @property
    def decays(self):
        return tuple(np.asarray(self.decay_factor).tolist())

    @property
    def plan(self):
        """What the steps of an epoch multiply rate, dropout and decay by.  (S0)

        An array of shape (n_steps, 3); of shape (0, 3) where nothing is multiplied.
        """
        return np.asarray(self.planned)

    @plan.setter
    def plan(self, value):
        value = np.ascontiguousarray(value, dtype=np.float64)
        if value.ndim != 2 or value.shape[1] != N_PLANNED:
            raise ValueError(
                f"plan must have {<int> N_PLANNED} columns. Got shape {value.shape}."
            )
        if not np.all(np.isfinite(value)) or np.any(value < 0):
            raise ValueError("plan must hold finite numbers that are not negative")
        if self.dropout > 0 and np.any(self.dropout * value[:, DROPOUT_] >= 1):
            raise ValueError("plan must leave dropout below 1")
        self.planned = value


def _factors(name, given, length, default):
    array = default if given is None else np.array(given, dtype=np.float64)
    if array.shape != (length,):
        raise ValueError(f"{name} must have length {length}. Got shape {array.shape}.")
    return array


def _restore(n_groups, dropout, seed, max_norm, rates, decays):
    return Regimen(
        n_groups, dropout=dropout, seed=seed, max_norm=max_norm, rates=rates,
        decays=decays,
    )
