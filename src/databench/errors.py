"""Every exception that Databench raises on purpose, and nothing else.

DatabenchError
├── ProtocolError           bytes that break docs/protocol.md
│   ├── LocalProtocolError  we were about to send them
│   └── RemoteProtocolError the other side sent them (carries a WebSocket close code)
├── PayloadError            a value that cannot be sent (also a TypeError)
├── MismatchError           the payload of a signal is not what its handler takes
├── AnalysisError           an analysis is declared or used wrongly
├── JobError                a job failed on the workers
│   └── TaskError           the task raised (carries the remote traceback)
├── BusError                the bus cannot be reached or refuses us
└── ConfigError             a setting or an address that cannot be used

Cancelled (BaseException)   the handler is to stop; not an Exception, so that loops that
                            catch those stop too, like asyncio.CancelledError
"""


class DatabenchError(Exception):
    """The base of all errors of Databench."""


class ProtocolError(DatabenchError):
    """A message breaks the protocol."""


class LocalProtocolError(ProtocolError):
    """This side was about to send what the protocol does not allow."""


class RemoteProtocolError(ProtocolError):
    """The other side sent what the protocol does not allow.

    `close_code` is the WebSocket close code that answers it (docs/protocol.md, close codes).
    """

    def __init__(self, message: str, close_code: int = 4000) -> None:
        super().__init__(message)
        self.close_code = close_code


class PayloadError(DatabenchError, TypeError):
    """A value holds something that cannot be sent; the message names the path inside it."""


class MismatchError(DatabenchError):
    """The payload of a signal is not what its handler takes; the message says which parameter and why."""


class AnalysisError(DatabenchError):
    """An analysis is declared or used wrongly."""


class JobError(DatabenchError):
    """A job on the workers failed; the message says why."""


class TaskError(JobError):
    """The task itself raised an exception on a worker.

    `type_name` is the remote exception's type, `remote_traceback` its traceback as text, `item` the index of the
    item that failed. `original` is that exception, made again from its arguments; None where its type is not
    imported here, or where its arguments cannot travel.
    """

    def __init__(
        self, message: str, *, type_name: str, remote_traceback: str, item: int, original: BaseException | None = None
    ) -> None:
        super().__init__(message)
        self.type_name = type_name
        self.remote_traceback = remote_traceback
        self.item = item
        self.original = original

    def __str__(self) -> str:
        trace = f"\n\nOn the worker:\n{self.remote_traceback}" if self.remote_traceback else ""
        return f"{self.args[0]}{trace}"


class BusError(DatabenchError):
    """The bus cannot be reached, or the broker refuses this service."""


class ConfigError(DatabenchError):
    """A setting cannot be used; the message says which and what to do."""


class Cancelled(BaseException):
    """Raised inside a plain handler whose session has ended or that was cancelled."""
