"""What one call of ``fit`` hands from step to step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ._callbacks import Reporter
from ._checkpoint import Session
from ._fingerprint import digest, fingerprint
from ._inputs import Targets
from ._state import Continuation, Ending, Problem, State
from ._targets import TargetKind
from ._validation import Given

if TYPE_CHECKING:
    from .core.engine import Table


class Data(NamedTuple):
    """The rows of a call, checked, and what their targets are."""

    given: Given
    kind: TargetKind
    targets: Targets

    @property
    def table(self) -> Table:
        return self.given.table


class Call(NamedTuple):
    """Which call a fit is: the first, one of partial_fit, and what it goes on from."""

    first: bool
    incremental: bool
    past: Continuation
    #: Of its checkpoint, if it has one.
    session: Session | None = None
    #: Of its callbacks, if it has any.
    reporter: Reporter | None = None


class Outcome(NamedTuple):
    """A training that has ended."""

    problem: Problem
    state: State
    ending: Ending
    #: SciPy's words.
    reason: str
    validated: bool


def identity_of(estimator: Any, data: Data, call: Call) -> dict[str, str]:
    """What makes a call the one that a checkpoint is of."""
    identity = fingerprint(estimator, data.given)
    if not call.first:
        began = digest(*estimator.coefs_, *estimator.intercepts_)
        state = call.past.state
        if state is not None:
            stream = state.random_state.get_state(legacy=False)["state"]
            parts = (state.moments, state.optimizer.t, state.order, *stream.values())
            began += digest(*parts)
        identity["the state it began with"] = began
    return identity
