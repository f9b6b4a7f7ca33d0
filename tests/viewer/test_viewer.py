"""The page's controls, as a browser's hands move them, and what the page is then sent."""

import threading
import time

import pytest
import torch

import neurotex as nt
from neurotex.errors import SceneError
from neurotex.fit import Interrupted

pytest.importorskip("viser", reason="viser is not installed: pip install 'neurotex[viewer]'")


def labelled(viewer, label):
    """The control of this label."""
    handles = viewer.server.gui._gui_input_handle_from_uuid.values()
    (found,) = (handle for handle in handles if getattr(handle, "label", None) == label)
    return found


def move(handle, value):
    """As a browser does: the value, and then who wants to know of it."""
    handle.value = value
    time.sleep(0.02)


def shown(viewer, tmp_path):
    assert viewer.worker.settle(30)
    (tmp_path / "shown.glb").write_bytes(viewer._glb.glb_data)
    return nt.Scene.load(tmp_path / "shown.glb").materials()[0].base_color()


def test_a_slider_moves_the_texture_and_reset_moves_it_back(square, tiny, tmp_path):
    with nt.view(square, tiny, port=0) as viewer:
        panel = viewer._latent
        first = shown(viewer, tmp_path)
        move(panel.sliders[0], 2.0)
        moved = shown(viewer, tmp_path)
        assert (moved - first).abs().max() > 0.01
        base = panel.base + 2 * panel.directions.axes[0]
        expected = ((viewer.model.generator(base[None]) + 1) / 2).clamp(0, 1)[:, :3]
        torch.testing.assert_close(moved, expected.detach(), rtol=0, atol=0.003)
        panel._reset()
        assert torch.equal(shown(viewer, tmp_path), first)
        move(panel.truncation, 0.0)
        mean = shown(viewer, tmp_path)
        panel._set_seed(7)
        assert torch.equal(shown(viewer, tmp_path), mean)  # at the mean all seeds are one
        move(panel.truncation, 1.0)
        other = shown(viewer, tmp_path)
        assert not torch.equal(other, first)


def test_a_blend_begins_at_one_that_was_kept_and_ends_at_the_other(square, tiny, tmp_path):
    with nt.view(square, tiny, port=0) as viewer:
        panel = viewer._latent
        move(panel.sliders[1], 1.5)
        a = shown(viewer, tmp_path)
        panel._keep("A")
        panel._set_seed(3)
        b = shown(viewer, tmp_path)
        assert panel.blend.disabled
        panel._keep("B")
        assert not panel.blend.disabled
        move(panel.blend, 1.0)
        torch.testing.assert_close(shown(viewer, tmp_path), b, rtol=0, atol=0.005)
        move(panel.blend, 0.0)
        torch.testing.assert_close(shown(viewer, tmp_path), a, rtol=0, atol=0.005)


def test_steps_are_switched_on_and_what_is_wrong_with_them_is_said(square, tmp_path):
    with nt.view(square, port=0) as viewer:
        panel = viewer._steps
        on, text = panel.switches["levels:4"]
        assert not text.visible
        move(on, True)
        assert text.visible
        assert len(shown(viewer, tmp_path).unique()) <= 4
        move(text, "levels:2")
        assert set(shown(viewer, tmp_path).unique().tolist()) == {0.0, 1.0}
        assert set(viewer._maps) == {"base_color", "base_color, as a fit sees it"}
        move(text, "levels:many")
        assert "levels" in panel.note.content
        assert panel.note.visible
        move(on, False)
        assert len(shown(viewer, tmp_path).unique()) > 4
        assert not panel.note.visible
        assert set(viewer._maps) == {"base_color"}


def test_photographs_are_compared_with_the_model_from_their_cameras(square, tmp_path):
    cameras = [
        nt.PerspectiveCamera(nt.look_at(torch.tensor([12.0 + x, 2, 8]), torch.tensor([12.0, 2, 0]))) for x in (-2, 0, 2)
    ]
    seen = square.replace(cameras=cameras, lights=nt.AmbientLight(1.0))
    photographs = nt.render(seen, 24).detach()
    photographs[2, :3] *= 0.5
    views = nt.Views(cameras, photographs, [nt.AmbientLight(1.0)], ["left", "middle", "right"])
    with nt.view(square, views=views, port=0) as viewer:
        assert viewer.worker.settle(30)
        panel = viewer.photographs
        figures = {}
        for name in views.names:
            move(panel.chosen, name)
            assert viewer.worker.settle(30)
            figures[name] = float(panel.figures.content.split("**")[1].split()[0])
        assert figures["left"] > 30  # by another number of samples
        assert figures["right"] < 20
        wxyz, position = viewer.seen_from(cameras[1])
        radius = viewer.model.radius
        torch.testing.assert_close(torch.tensor(position), torch.tensor([0.0, 0, 8 / radius]).double())
        assert abs(wxyz[1]) == pytest.approx(1)  # half a turn about x: it looks along −z, y down


def test_a_fit_is_watched_paused_and_stopped(square):
    camera = nt.PerspectiveCamera(nt.look_at(torch.tensor([12.0, 2, 8]), torch.tensor([12.0, 2, 0])))
    lit = square.replace(cameras=[camera], lights=nt.AmbientLight(1.0))
    views = nt.Views([camera], nt.render(lit, 16).detach(), [nt.AmbientLight(1.0)], ["one"])
    texture = nt.ImageTexture(torch.full((3, 8, 8), 0.5), trainable=True)
    worn = lit.replace(materials={lit.materials()[0]: nt.Material(texture)})
    fit = nt.Fit(worn, views, torch.optim.Adam(texture.parameters(), lr=0.05), steps=400)
    with nt.view(worn, views=views, port=0) as viewer:
        ended = []

        def run():
            try:
                fit.run(on_step=viewer.watch)
            except Interrupted as stop:
                ended.append(stop)

        thread = threading.Thread(target=run)
        thread.start()
        while viewer._run is None or fit.step_number < 3:
            time.sleep(0.01)
        viewer._run._toggle()
        time.sleep(0.3)
        at = fit.step_number
        time.sleep(0.5)
        assert fit.step_number == at < 400
        assert thread.is_alive()
        viewer._run._stop()
        thread.join(10)
        assert not thread.is_alive()
        assert len(ended) == 1
        assert fit.step_number in (at, at + 1)
        assert len(fit.history) == fit.step_number
        viewer._run.stopped = False
        viewer._run._toggle()
        fit.run(on_step=viewer.watch)
        assert fit.step_number == 400
        assert viewer._run.progress.value == 100


def test_nothing_to_look_at_is_refused_and_closing_twice_is_closing(square):
    with pytest.raises(SceneError, match="no mesh"):
        nt.view(nt.Scene([]), port=0)
    viewer = nt.view(square, port=0)
    assert viewer.url.startswith("http://localhost:")
    viewer.close()
    viewer.close()
    assert not viewer.worker._thread.is_alive()
    viewer.wait()
