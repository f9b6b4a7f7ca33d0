"""Signals: noted while a step is done, handed on where there is nothing to finish."""

import signal
import subprocess
import sys
import threading

import pytest

import neurotex as nt
from neurotex.core.interrupts import SIGNALS, Interrupted, stoppable


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_noted_and_handlers_are_given_back(number):
    before = [signal.getsignal(n) for n in SIGNALS]
    with stoppable() as stop:
        assert not stop
        stop.check()
        signal.raise_signal(number)
        assert stop.signal == number
        with pytest.raises(Interrupted) as raised:
            stop.check()
        assert raised.value.signal == number
    assert [signal.getsignal(n) for n in SIGNALS] == before


def test_within_another_it_is_that_one_and_other_threads_hear_nothing():
    heard = []
    with stoppable() as outer:
        with stoppable() as inner:
            assert inner is outer
            signal.raise_signal(signal.SIGTERM)
        assert outer.signal == signal.SIGTERM

        def elsewhere() -> None:
            with stoppable() as stop:
                heard.append(bool(stop))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert heard == [False]


def test_a_second_signal_does_what_it_would_have_done():
    def press_twice() -> None:
        with stoppable():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as raised:
        press_twice()
    assert not isinstance(raised.value, Interrupted)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process by SIGTERM without asking it")
def test_what_is_ignored_stays_ignored():
    code = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
from neurotex.core.interrupts import stoppable
with stoppable() as stop:
    signal.raise_signal(signal.SIGTERM)
    print(bool(stop))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_a_fit_of_the_library_ends_its_step_and_goes_on(scene, monkeypatch):
    views = nt.Views(list(scene.cameras), nt.render(scene, 24).detach(), list(scene.lights), ["a", "b"])
    texture = scene.meshes()[0].material.base_color
    texture.image = nt.ImageTexture(texture.image.detach() * 0.5, trainable=True).image

    def fresh() -> nt.Fit:
        return nt.Fit(scene, views, nt.fit.optimise.Adam(list(scene.parameters()), lr=0.1), 4)

    def press(fit: nt.Fit) -> None:
        if fit.step_number == 2:
            signal.raise_signal(signal.SIGTERM)

    start = texture.image.detach().clone()
    whole = fresh().run(progress=False)
    texture.image.data.copy_(start)
    fit = fresh()
    with pytest.raises(KeyboardInterrupt) as raised:
        fit.run(press, progress=False)
    assert raised.value.signal == signal.SIGTERM
    assert fit.step_number == 2
    assert fit.run(progress=False) == whole
