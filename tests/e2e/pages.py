"""The campaigns that the tests of Engage's pages look at; the fixtures ``computed`` and ``waiting`` make them."""

from __future__ import annotations

from tests.e2e.support import past_window

WINDOW = past_window(7)
START = f"{WINDOW.start:%Y-%m-%d}"
SENT = f"{WINDOW.previous().start:%Y-%m-%d}"
"""The start of the campaign before, which was sent."""
WAITING = WINDOW.previous().previous()
"""The window of a campaign whose messages wait."""
WAITS = f"{WAITING.start:%Y-%m-%d}"
EVIL = "<script>document.title='owned'</script></script><img src=x onerror=\"document.title='owned'\">"
