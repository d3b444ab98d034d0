"""Callbacks where scikit-learn has none of its own, which is before 1.9.

The part of its protocol that an estimator alone needs: objects with ``setup``,
``on_fit_task_begin``, ``on_fit_task_end`` and ``teardown`` are told of tasks, which
know their parents. What is set, and what a callback is told, is as in 1.9.
"""

from __future__ import annotations

import copy
import inspect
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, wraps
from typing import Any

_HOOKS = ("setup", "on_fit_task_begin", "on_fit_task_end", "teardown")


@cache
def _keywords(hook: Any) -> tuple[str, ...]:
    """What a hook, as a function of its class, asks to be told."""
    return tuple(
        each.name
        for each in inspect.signature(hook).parameters.values()
        if each.kind is each.KEYWORD_ONLY
    )


class Task:
    """A part of a fit, and the tasks that it is a part of.

    Attributes
    ----------
    task_name : str
    task_id : int
    max_subtasks : int or None
        None where it is not known.
    sequential_subtasks : bool
    estimator_name : str
    parent : Task or None
    root_uuid : uuid.UUID
    init_time : datetime
    """

    def __init__(
        self,
        callbacks: list[Any],
        estimator_name: str,
        parent: Task | None,
        task_name: str,
        task_id: int,
        max_subtasks: int | None,
        sequential_subtasks: bool,
    ) -> None:
        self._callbacks, self.estimator_name = callbacks, estimator_name
        self.parent, self.task_name, self.task_id = parent, task_name, task_id
        self.max_subtasks = max_subtasks
        self.sequential_subtasks = sequential_subtasks
        self.root_uuid = uuid.uuid4() if parent is None else parent.root_uuid
        self.init_time = datetime.now(UTC)
        self.source_estimator_name = self.source_task_name = None
        self._n_subtasks = 0

    def subcontext(
        self,
        task_name: str = "",
        task_id: int | None = None,
        max_subtasks: int | None = 0,
        sequential_subtasks: bool = True,
    ) -> Task:
        number = self._n_subtasks if task_id is None else task_id
        self._n_subtasks += 1
        return Task(
            self._callbacks,
            self.estimator_name,
            self,
            task_name,
            number,
            max_subtasks,
            sequential_subtasks,
        )

    def call_on_fit_task_begin(self, *, estimator: Any, **offered: Any) -> Task:
        self._call("on_fit_task_begin", estimator, offered)
        return self

    def call_on_fit_task_end(self, *, estimator: Any, **offered: Any) -> bool:
        """Whether any callback wants to stop."""
        return self._call("on_fit_task_end", estimator, offered)

    def _call(self, name: str, estimator: Any, offered: dict[str, Any]) -> bool:
        """Call a hook of all callbacks; what none asks for is not made."""
        made: dict[str, Any] = {}

        def value(keyword: str) -> Any:
            if keyword not in made:
                known = offered.get(keyword)
                made[keyword] = known() if callable(known) else known
            return made[keyword]

        def fitted() -> Any:
            attributes = value("reconstruction_attributes")
            if attributes is None:
                return None
            fitted = copy.copy(estimator)
            for attribute, known in attributes.items():
                setattr(fitted, attribute, known)
            return fitted

        offered = {"X": None, "y": None, "metadata": None, **offered}
        allowed = {"X", "y", "metadata", "fitted_estimator"}
        offered["fitted_estimator"] = fitted
        stops = False
        for callback in self._callbacks:
            hook = getattr(callback, name)
            keywords = _keywords(getattr(hook, "__func__", hook))
            unknown = {*keywords} - allowed
            if unknown:
                raise TypeError(
                    f"{name} of {type(callback).__name__} has the parameters "
                    f"{sorted(unknown)}. Allowed are {sorted(allowed)}."
                )
            told = {keyword: value(keyword) for keyword in keywords}
            stops |= bool(hook(estimator, self, **told))
        return stops


class CallbackSupportMixin:
    """``set_callbacks``, and a clone that has them too."""

    _skl_callbacks: list[Any]

    def set_callbacks(self, *callbacks: Any) -> Any:
        """Set the callbacks of the estimator.

        Parameters
        ----------
        *callbacks : callback instances
            Those of :mod:`skbackprop.callbacks`, or other objects with ``setup``,
            ``on_fit_task_begin``, ``on_fit_task_end`` and ``teardown``. None of them
            clears what was set.

        Returns
        -------
        self : estimator

        Raises
        ------
        TypeError
            For anything else.
        """
        for callback in callbacks:
            whole = all(callable(getattr(callback, hook, None)) for hook in _HOOKS)
            if isinstance(callback, type) or not whole:
                raise TypeError(
                    f"callbacks must be instances with {', '.join(_HOOKS)}. "
                    f"Got {callback!r:.80}."
                )
        if callbacks:
            self._skl_callbacks = list(callbacks)
        else:
            self.__dict__.pop("_skl_callbacks", None)
        return self

    def _init_callback_context(
        self,
        task_name: str = "fit",
        task_id: int = 0,
        max_subtasks: int | None = 0,
        sequential_subtasks: bool = True,
    ) -> Task:
        callbacks = self.__dict__.get("_skl_callbacks", [])
        name = type(self).__name__
        task = Task(
            callbacks, name, None, task_name, task_id, max_subtasks, sequential_subtasks
        )
        self._callback_fit_ctx: Any = task
        self._skl_callbacks_to_teardown: list[Any] = []
        for callback in callbacks:
            self._skl_callbacks_to_teardown.append(callback)
            callback.setup(estimator=self, context=task)
        return task

    def __sklearn_clone__(self) -> Any:
        clone = super().__sklearn_clone__()  # type: ignore[misc]
        if "_skl_callbacks" in self.__dict__:
            clone._skl_callbacks = self._skl_callbacks
        return clone


def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let callbacks that were set up in a method be torn down, however it ends."""

    @wraps(method)
    def managed(estimator: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(estimator, *args, **kwargs)
        finally:
            begun = estimator.__dict__.pop("_skl_callbacks_to_teardown", [])
            task = estimator.__dict__.pop("_callback_fit_ctx", None)
            errors: list[Exception] = []
            for callback in begun:
                try:
                    callback.teardown(estimator=estimator, context=task)
                except Exception as error:
                    errors.append(error)
            if len(errors) == 1:
                raise errors[0]
            if errors:
                raise ExceptionGroup("Callbacks could not be torn down", errors)

    return managed
