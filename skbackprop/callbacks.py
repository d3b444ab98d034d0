"""Callbacks: what watches a fit, and may stop it, epoch by epoch.

They are set with ``set_callbacks``, together with those of scikit-learn, which has
callbacks from 1.9 on; docs/callbacks.md shows both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ._callbacks import EpochCallback, EpochReport, Listener
from ._scoring import score_on, scorer_of

__all__ = ["EpochReport", "ValidationMonitor", "on_epoch_end"]


class on_epoch_end(EpochCallback):
    """Make a callback of a function that is called after each epoch.

    Parameters
    ----------
    function : callable
        Of an :class:`EpochReport`. If its answer is true, training ends with this
        epoch, and keeps the network that it would have kept had ``max_iter`` been
        reached: the best epoch where rows validate, else this one. Of an ensemble it is
        this network whose training ends.

    Raises
    ------
    TypeError
        Where the function is not callable.

    Notes
    -----
    An exception that the function raises ends the fit, and the estimator is as it was
    before. In ``TabularMLP*`` networks are trained by several threads, and the function
    is called by each of them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbackprop import BackpropMLPClassifier
    >>> from skbackprop.callbacks import on_epoch_end
    >>> X, y = load_iris(return_X_y=True)
    >>> @on_epoch_end
    ... def good_enough(epoch):
    ...     return epoch.loss < 0.5
    >>> model = BackpropMLPClassifier(random_state=0).set_callbacks(good_enough)
    >>> model.fit(X, y).loss_ < 0.5
    True
    """

    def __init__(self, function: Callable[[EpochReport], Any]) -> None:
        if not callable(function):
            raise TypeError(f"function must be callable. Got {function!r:.80}.")
        self.function = function

    def __call__(self, epoch: EpochReport) -> Any:
        return self.function(epoch)

    def __repr__(self) -> str:
        return f"on_epoch_end({self.function!r})"

    def _listener(self, estimator: Any, validates: bool) -> Listener:
        return self.function


class ValidationMonitor(EpochCallback):
    """Keep the losses and the scores of every epoch, on the rows that validate.

    These are ``X_val, y_val`` of ``fit``, those that ``early_stopping=True`` holds out,
    or in ``TabularMLP*`` the fold of each network.
    (:class:`sklearn.callback.ScoringMonitor` scores the rows that train.)

    Parameters
    ----------
    scoring : str, callable, list of str, dict or None, default=None
        More to be scored: a name of scikit-learn's, a callable of
        ``(estimator, X, y)``, several names, or names and callables by the name that
        the log gives them. None for nothing more than the losses and the estimator's
        own score.

    See Also
    --------
    on_epoch_end : Call a function after each epoch.

    Notes
    -----
    A monitor may be set on several estimators, or on one that is cloned: each fit is a
    run of its own. Runs of other processes stay there; a search with threads, or with
    ``n_jobs=1``, has all of them.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> from skbackprop import BackpropMLPClassifier
    >>> from skbackprop.callbacks import ValidationMonitor
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> monitor = ValidationMonitor(scoring="roc_auc")
    >>> model = BackpropMLPClassifier(early_stopping=True, random_state=0)
    >>> model = model.set_callbacks(monitor).fit(scale(X), y)
    >>> list(monitor.get_log()[0])
    ['run', 'network', 'epoch', 'seconds', 'loss', 'validation_loss', \
'validation_score', 'roc_auc']
    >>> len(monitor.get_log()) == model.n_iter_
    True
    """

    def __init__(
        self,
        scoring: str
        | Callable[..., float]
        | Sequence[str]
        | Mapping[str, str | Callable[..., float]]
        | None = None,
    ) -> None:
        self.scoring = scoring
        self._scoring = _by_name(scoring)
        self._runs: list[list[dict[str, Any]]] = []

    def __repr__(self) -> str:
        return f"ValidationMonitor(scoring={self.scoring!r})"

    def get_log(self, select: str = "most_recent", as_frame: bool = False) -> Any:
        """What has been kept, by network and epoch.

        Parameters
        ----------
        select : {'most_recent', 'all'}, default='most_recent'
            Of the fit that began last, or of every fit.
        as_frame : bool, default=False
            Whether to return a data frame of pandas.

        Returns
        -------
        log : list of dict, or pandas.DataFrame
            ``run``, ``network`` (both counted from 0), ``epoch`` (from 1), ``seconds``
            since the fit began to train, ``loss``, ``validation_loss``,
            ``validation_score``, and every score that was asked for. The two losses
            differ by the penalty, and in that the first is the mean over an epoch in
            which the network was changing.

        Raises
        ------
        ValueError
            If ``select`` is neither.
        """
        if select not in ("most_recent", "all"):
            raise ValueError(f"select must be 'most_recent' or 'all'. Got {select!r}.")
        runs = [*enumerate(self._runs[:])]
        log = [
            {"run": number, **row}
            for number, run in (runs if select == "all" else runs[-1:])
            for row in sorted(run[:], key=lambda row: (row["network"], row["epoch"]))
        ]
        if not as_frame:
            return log
        import pandas as pd

        names = [*_ROW, *self._scoring]
        return pd.DataFrame(log, columns=names if not log else None)

    def _listener(self, estimator: Any, validates: bool) -> Listener:
        if not validates:
            raise ValueError(
                "ValidationMonitor has no rows to score: take early_stopping=True with "
                "a stochastic solver, which holds some out or takes X_val and y_val. "
                "on_epoch_end needs none."
            )
        scorers = {
            name: scorer_of(estimator, scoring)
            for name, scoring in self._scoring.items()
        }
        run: list[dict[str, Any]] = []
        self._runs.append(run)
        began = time.perf_counter()

        def listener(epoch: EpochReport) -> None:
            values = (
                epoch.network,
                epoch.number,
                time.perf_counter() - began,
                epoch.loss,
                epoch.validation_loss(),
                epoch.validation_score,
            )
            row = dict(zip(_ROW[1:], values, strict=True))
            if scorers:
                fitted, rows = epoch.fitted_estimator(), epoch.validation_data()
                assert rows is not None
                for name, scorer in scorers.items():
                    row[name] = score_on(scorer, *rows)(fitted)
            run.append(row)

        return listener


_ROW = (
    "run",
    "network",
    "epoch",
    "seconds",
    "loss",
    "validation_loss",
    "validation_score",
)


def _by_name(scoring: Any) -> dict[str, Any]:
    """Scorers, or names of them, by the name that they have in the log."""
    if scoring is None:
        return {}
    if isinstance(scoring, str):
        named: dict[str, Any] = {scoring: scoring}
    elif isinstance(scoring, Mapping):
        named = dict(scoring)
    elif callable(scoring):
        named = {"score": scoring}
    elif isinstance(scoring, Sequence) and all(isinstance(s, str) for s in scoring):
        named = {name: name for name in scoring}
    else:
        named = {}
    whole = all(
        isinstance(name, str) and (isinstance(each, str) or callable(each))
        for name, each in named.items()
    )
    if not named or not whole:
        raise TypeError(
            "scoring must be a name of scikit-learn's, a callable, a list of names, a "
            f"dict of names and callables, or None. Got {scoring!r:.80}."
        )
    taken = sorted({*named} & {*_ROW})
    if taken:
        raise ValueError(
            f"scoring must not be called {taken[0]!r}, which the log has already."
        )
    return named
