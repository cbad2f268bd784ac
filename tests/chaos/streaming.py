"""A stream of everything a session has, in both directions, and what must hold at its end whatever happened."""

from tests.chaos.probes.probe import NEWS_EVERY
from tests.chaos.tab import Tab

REPLY_EVERY = 50
"""Signals after which the page sends one."""


class Stream:
    """`stream` of the probes as a tab sees it: signals, state and broadcasts to the page, signals and state from it."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self._sent = 0

    async def begin(self, count: int | None = None) -> None:
        """Ask for `count` signals, or for a stream until `finish`."""
        await self.tab.emit("stream", count)

    async def follow(self, count: int) -> None:
        """Read on for `count` signals, and send one now and then."""
        for _ in range(count):
            number = (await self.tab.receive("number")).payload
            if number % REPLY_EVERY == 0:
                await self.send()

    async def send(self) -> None:
        """Send the next signal, also where there is no connection."""
        await self.tab.emit("keep", self._sent)
        self._sent += 1

    async def finish(self) -> int:
        """Have it ended, and check that everything came once and in order; return how many signals that was."""
        await self.tab.set("enough", True)
        return await self.verify()

    async def verify(self) -> int:
        """Check that everything came once and in order, once it has ended."""
        tab = self.tab
        count: int = (await tab.receive("end")).payload
        news = [[tab.token, number] for number in range(-(-count // NEWS_EVERY))]
        await tab.until(lambda: bool(tab.payloads("news")) and tab.payloads("news")[-1] == news[-1])
        await tab.emit("keep")
        known = (await tab.receive("known")).payload
        await tab.until(lambda: tab.state == known["state"] and tab.shared == known["shared"])
        assert tab.payloads("number") == list(range(count))
        assert [each for each in tab.payloads("news") if each[0] == tab.token] == news
        assert known["kept"] == list(range(self._sent))
        assert tab.state["at"] == count - 1
        assert tab.missed == 0
        assert not tab.payloads("warn")
        return count
