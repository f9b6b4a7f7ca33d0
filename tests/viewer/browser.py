"""A real browser without a screen, which notes what it says and whom it asks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# drawn by the processor; nothing that Chromium does by itself in the background
WORDS = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
# a WebGL picture is gone once it has been shown, unless it is asked to stay
KEEP = """
const made = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, options) {
    return made.call(this, kind, kind.startsWith("webgl") ? { ...options, preserveDrawingBuffer: true } : options);
};
"""
# a few pixels of the 3D view, and how long ago it was asked for a change
LOOK = """() => {
    const small = new OffscreenCanvas(48, 32).getContext("2d");
    const canvas = [...document.querySelectorAll("canvas")].sort((a, b) => b.width - a.width)[0];
    if (!canvas) return null;
    small.drawImage(canvas, 0, 0, 48, 32);
    return Array.from(small.getImageData(0, 0, 48, 32).data);
}"""


class Tab:
    """A page: `errors` that its console has said, `asked`, the hosts that it has asked."""

    def __init__(self, context, url: str):
        self.page = context.new_page()
        self.errors: list[str] = []
        self.asked: set[str] = set()
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self._ask(request.url))
        self.page.on("websocket", lambda socket: self._ask(socket.url))
        self.page.goto(url)

    def _ask(self, url: str) -> None:
        if url.startswith(("http", "ws")):
            self.asked.add(urlsplit(url).hostname or "")

    def pixels(self) -> list[int] | None:
        return self.page.evaluate(LOOK)

    def until_drawn(self, seconds: float = 30) -> list[int]:
        """The 3D view, once there is more on it than its background."""
        for _ in range(int(seconds * 10)):
            found = self.pixels()
            if found is not None and len(set(zip(*[iter(found)] * 4, strict=True))) > 20:
                return found
            self.page.wait_for_timeout(100)
        raise AssertionError("nothing was drawn")

    def until_changed(self, before: list[int], seconds: float = 30) -> list[int]:
        """The 3D view, once it is another than `before`."""
        for _ in range(int(seconds * 20)):
            found = self.pixels()
            if found is not None and sum(abs(a - b) for a, b in zip(found, before, strict=True)) > 200:
                return found
            self.page.wait_for_timeout(50)
        raise AssertionError("the picture has not changed")


@contextmanager
def browser() -> Iterator:
    """A browser's context, in which `Tab` opens pages."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=list(WORDS))
        context = chromium.new_context(viewport={"width": 1280, "height": 800})
        context.add_init_script(KEEP)
        try:
            yield context
        finally:
            chromium.close()
