"""The viewer in a real browser."""

import signal
import subprocess
import sys
import time

import pytest

import neurotex as nt

from .browser import CHROMIUM, Tab, browser

pytest.importorskip("viser", reason="viser is not installed: pip install 'neurotex[viewer]'")
pytest.importorskip("playwright", reason="playwright is not installed: make test-viewer")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

LOOPBACK = {"localhost", "127.0.0.1"}


@pytest.fixture(scope="module")
def tabs():
    with browser() as context:
        yield lambda url: Tab(context, url)


def test_sliders_change_the_model_and_nobody_else_is_asked(tabs, teapot):
    generator = nt.generators.load("materials")
    with nt.view(nt.Scene.load(teapot), generator, port=0) as viewer:
        tab = tabs(viewer.url)
        before = tab.until_drawn()
        sliders = tab.page.get_by_role("slider")
        assert sliders.count() >= 9  # truncation and eight directions
        for k in (1, 5):
            sliders.nth(k).focus()
            for _ in range(20):
                tab.page.keyboard.press("ArrowRight")
            before = tab.until_changed(before)
        tab.page.get_by_role("tab", name="Maps").click()
        assert tab.page.get_by_role("img").count() >= 3
        assert tab.errors == []
        assert tab.asked <= LOOPBACK
        tab.page.close()


def test_two_browsers_see_the_same_and_a_closed_one_is_not_missed(tabs, square, tiny):
    with nt.view(square, tiny, port=0) as viewer:
        one, two = tabs(viewer.url), tabs(viewer.url)
        was_one, was_two = one.until_drawn(), two.until_drawn()
        two.page.get_by_role("button", name="random", exact=True).click()
        now_one, now_two = one.until_changed(was_one), two.until_changed(was_two)
        one.page.close()
        viewer._latent._set_seed(12345)
        two.until_changed(now_two)
        assert viewer.worker.settle(10)
        three = tabs(viewer.url)
        three.until_drawn()
        assert two.errors == three.errors == []
        del now_one


def test_the_command_serves_this_machine_only_and_ends_at_once(tabs, teapot):
    command = [sys.executable, "-m", "neurotex", "view", teapot, "--no-open", "--port", "8765"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    line = process.stderr.readline()
    assert "http://localhost:" in line, line
    tab = tabs(line.split()[2])
    tab.until_drawn()
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert time.monotonic() - began < 15
    tab.page.wait_for_timeout(500)
    assert tab.asked <= LOOPBACK
    tab.page.close()
