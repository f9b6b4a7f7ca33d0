"""`python -m benchmarks.viewer`: from a latent's slider to the new picture, in a real browser.

Chromium draws with the processor here, on the same cores that run the generator: with a graphics card the last part
takes a few milliseconds. Needs playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import statistics

import neurotex as nt
from tests.viewer.browser import Tab, browser

TARGET = 150.0  # ms, median, the bundled generator on two cores
# from the key that moves a slider to the first frame that shows another picture
WATCH = """() => { window.seconds = new Promise(done => {
    const look = LOOK;
    addEventListener("keydown", () => {
        const began = performance.now(), before = look();
        const again = () => {
            const now = look();
            let change = 0;
            for (let k = 0; k < now.length; k++) change += Math.abs(now[k] - before[k]);
            if (change > 60) done(performance.now() - began); else requestAnimationFrame(again);
        };
        requestAnimationFrame(again);
    }, { once: true, capture: true });
}); }"""


def measure(turns: int) -> list[float]:
    """Milliseconds from the key to the picture, one for each turn."""
    from tests.viewer.browser import LOOK

    scene = nt.Scene.load(nt.assets.folder() / "demo/mesh.obj")
    found = []
    with nt.view(scene, nt.generators.load("materials"), port=0) as viewer, browser() as context:
        tab = Tab(context, viewer.url)
        tab.until_drawn()
        for turn in range(turns):
            slider = tab.page.get_by_role("slider").nth(1 + turn % 8)
            slider.focus()
            viewer.worker.settle()
            tab.page.wait_for_timeout(400)
            tab.page.evaluate(WATCH.replace("LOOK", LOOK, 1))
            tab.page.keyboard.press("End" if turn // 8 % 2 == 0 else "Home")
            found.append(float(tab.page.evaluate("() => window.seconds")))
    return found


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Measure, and print the median and the slowest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=24)
    times = measure(parser.parse_args(arguments).turns)
    found = {"median_ms": statistics.median(times), "slowest_ms": max(times)}
    told = f"median {found['median_ms']:.0f} ms (target ≤ {TARGET:.0f}), slowest {found['slowest_ms']:.0f}"
    print("slider → picture:", told)
    return found


if __name__ == "__main__":
    main()
