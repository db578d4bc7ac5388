"""The bound subject as a header of a task's message, bound again where the task runs.

What binding means is `stigg_guard.bound_subject`'s.
"""

from __future__ import annotations

from typing import Any, Final

from celery import Task
from celery.signals import before_task_publish, task_postrun, task_prerun

from stigg_guard import Subject, current_subject
from stigg_guard.bound_subject import bind_alone

HEADER: Final = "stigg_guard_subject"
"""The header of a message: the customer's id and the resource's, or None."""

_WHO: Final = "stigg_guard_celery"


def propagate_subject() -> None:
    """Run every task for the subject that was bound where it was sent.

    Call it once, where the Celery application is made: senders and workers both need
    it. Retries, chains and groups keep the subject. A task that was sent while nothing
    was bound runs for nobody, whatever ran in its worker before.
    """
    before_task_publish.connect(_attach, dispatch_uid=_WHO, weak=False)
    task_prerun.connect(_bind, dispatch_uid=_WHO, weak=False)
    task_postrun.connect(_unbind, dispatch_uid=_WHO, weak=False)


def _attach(headers: dict[str, Any] | None = None, **_: Any) -> None:
    bound = current_subject()
    if headers is not None and bound is not None:
        headers.setdefault(HEADER, [bound.customer_id, bound.resource_id])


def _bind(task: Task[Any, Any], **_: Any) -> None:
    if not _is_eager(task):
        found: Any = task.request.get(HEADER)
        bind_alone(Subject(*found) if found else None)


def _unbind(task: Task[Any, Any], **_: Any) -> None:
    if not _is_eager(task):
        bind_alone(None)


def _is_eager(task: Task[Any, Any]) -> bool:
    """Whether it runs in its caller's thread, where the subject is bound anyway."""
    return bool(task.request.is_eager)
