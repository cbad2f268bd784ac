"""Live analyses: Python in the back, a free web page in front, signals between them.

The names here are the public API; everything else may change.
"""

from databench.analysis import Analysis
from databench.errors import (
    AnalysisError,
    BusError,
    Cancelled,
    ConfigError,
    DatabenchError,
    JobError,
    PayloadError,
    ProtocolError,
    TaskError,
)
from databench.jobs import Job, map, submit, task, worker_name
from databench.session import Session
from databench.state import State
from databench.threads import sleep, thread

__all__ = [
    "Analysis",
    "AnalysisError",
    "BusError",
    "Cancelled",
    "ConfigError",
    "DatabenchError",
    "Job",
    "JobError",
    "PayloadError",
    "ProtocolError",
    "Session",
    "State",
    "TaskError",
    "map",
    "sleep",
    "submit",
    "task",
    "thread",
    "worker_name",
]
