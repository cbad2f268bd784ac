"""State that a page asks for: a signal called `state:KEY` or `shared:KEY`, as docs/protocol.md, section 2, has it.

Owns who may set what where no handler decides. Knows no handler and no viewer.
"""

from databench.errors import AnalysisError, RemoteProtocolError
from databench.state import State

LARGEST = 256 * 1024
"""Bytes of a value that is taken over without a handler: it is decoded on the event loop."""


class StateRequests:
    """What the pages of one session ask for."""

    def __init__(self, own: State, shared: State) -> None:
        self._states = {"state": own, "shared": shared}

    def concerns(self, signal: str) -> bool:
        """Return whether the signal asks for state."""
        return signal.startswith(("state:", "shared:"))

    def take_over(self, signal: str, payload: bytes) -> str:
        """Set the state that a page asked for, where nobody handles the signal; return why it was refused, if so."""
        scope, _, key = signal.partition(":")
        if scope != "state":
            self.settle(signal)
            return f"{signal!r} is shared by all sessions: only a handler of that signal can set it for a page"
        if len(payload) > LARGEST:
            self.settle(signal)
            return f"{signal!r} is larger than {LARGEST // 1024} KiB: only a handler of that signal can take it"
        try:
            self._states[scope].take_over(key, payload)
        except (AnalysisError, RemoteProtocolError) as error:
            self.settle(signal)
            return str(error)
        return ""

    def settle(self, signal: str) -> None:
        """Tell the pages what counts now, whatever one of them asked for."""
        scope, _, key = signal.partition(":")
        self._states[scope].tell_again(key)
