"""Exceptions of tasks on their way from a slot to the author: written down there, made again here.

Owns what a `Failure` keeps of an exception. Imports nothing that a failure names: an exception's type is made
again only where this process has imported it anyway, so that a message cannot make it import anything.
"""

import sys
import traceback
from contextlib import suppress
from types import TracebackType

from databench.errors import JobError, PayloadError, RemoteProtocolError, TaskError
from databench.wire import codec
from databench.wire.chunks import Failure

LONGEST_MESSAGE = 4_000
LONGEST_TRACEBACK = 16_000
"""Characters that travel; what lies between the beginning and the end of a longer text is left out."""


def described(error: BaseException, item: int | None, trace: TracebackType | None, *, full: bool = True) -> Failure:
    """Write down an exception that a task raised; `trace` begins with the author's first frame.

    Without `full` there is no traceback.
    """
    text = "".join(traceback.format_exception(type(error), error, trace)) if full else ""
    try:
        message = str(error)
    except Exception:
        message = "(its message cannot be shown)"
    kind = type(error)
    return Failure(
        item,
        _sendable(kind.__qualname__, LONGEST_MESSAGE),
        _sendable(message, LONGEST_MESSAGE),
        _sendable(text, LONGEST_TRACEBACK),
        _sendable(kind.__module__, LONGEST_MESSAGE),
        _arguments(error),
    )


def job_error(reason: str, failure: Failure, span: range, timeout: float) -> JobError:
    """Return the error of a chunk with these items that failed as a whole."""
    if reason == "raised":
        return task_error(failure, span[failure.item or 0])
    where = f"item {span[0]}" if len(span) == 1 else f"items {span[0]} to {span[-1]}"
    return JobError(f"{where}: {_why(reason, failure, timeout)}")


def lost_item(reason: str, failure: Failure, item: int, timeout: float) -> TaskError:
    """Return the error of one item of a chunk that was lost or took too long."""
    message = f"{_why(reason, failure, timeout)} (item {item})"
    return TaskError(message, type_name=failure.type, remote_traceback="", item=item)


def _why(reason: str, failure: Failure, timeout: float) -> str:
    message = f"the chunk took longer than {timeout:g} s" if reason == "timeout" else failure.message
    return f"{reason}: {message}"


def unreadable(error: RemoteProtocolError) -> JobError:
    """Return the error of a job whose answer makes no sense."""
    return JobError(f"the answer of a worker cannot be read: {error}")


def task_error(failure: Failure, item: int) -> TaskError:
    """Return the error of an item for which the task raised."""
    return TaskError(
        f"{failure.type}: {failure.message} (item {item})",
        type_name=failure.type,
        remote_traceback=failure.traceback,
        item=item,
        original=_original(failure),
    )


def _original(failure: Failure) -> BaseException | None:
    """Return the exception itself, where its type is known here and takes its arguments."""
    kind: object = sys.modules.get(failure.module)
    for name in failure.type.split("."):
        kind = getattr(kind, name, None)
    if failure.arguments is None or not (isinstance(kind, type) and issubclass(kind, BaseException)):
        return None
    with suppress(Exception):
        made = kind(*failure.arguments)
        if type(made) is kind and str(made) == failure.message:
            return made
    with suppress(Exception):  # its `__init__` takes something else than it hands on to Exception
        return kind.__new__(kind, *failure.arguments)
    return None


def _arguments(error: BaseException) -> list[object] | None:
    try:
        arguments = list(error.args)
        return arguments if len(codec.pack(arguments)) <= LONGEST_MESSAGE else None
    except (PayloadError, TypeError):
        return None


def _sendable(text: str, longest: int) -> str:
    """Return the text without half surrogate pairs, and not too long."""
    if len(text) > longest:
        text = f"{text[: longest // 2]}\n…\n{text[-longest // 2 :]}"
    return text.encode(errors="replace").decode()
