"""Lenses: the formulas against kornia's, and photographs straightened."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurotex.errors import ArgumentError
from neurotex.scene.views.lens import (
    Affine,
    Brown,
    Division,
    Equidistant,
    FieldOfView,
    Lens,
    Pinhole,
    Unified,
    straighten,
)

CAMERA = Pinhole((400.0, 410.0), (310.0, 245.0), (480, 640))
LENSES = {
    "barrel": Lens((Brown((-0.2, 0.05), (1e-3, -5e-4)),)),
    "pincushion": Lens((Brown((0.1, 0.02)),)),
    "rational": Lens((Brown((0.3, -0.1, 0.02), (1e-3, 2e-3), (0.4, 0.05, 0.01), (1e-3, 0, -1e-3, 0)),)),
    "fisheye": Lens((Equidistant(), Brown((-0.02, 0.003)))),
    "field of view": Lens((FieldOfView(0.9),)),
    "division": Lens((Division(-0.15),)),
    "unified": Lens((Unified(0.6, 1.1),)),
    "skew": Lens((Affine(1e-3, 2e-2),)),
    "gain": Lens((Brown((-0.1,), (2e-3, 1e-3), gain=(0.5, 0.1)), Affine(1e-3, 0.0))),
}


def _points() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.8, 0.8, (50, 2))


def test_opencvs_polynomials_are_kornias():
    from kornia.geometry.calibration import distort_points

    points, eye = _points(), torch.eye(3, dtype=torch.float64)[None]
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = values = np.random.default_rng(1).normal(size=12) * 0.05
    lens = Lens((Brown((k1, k2, k3), (p1, p2), (k4, k5, k6), (s1, s2, s3, s4)),))
    expected = distort_points(torch.tensor(points)[None], eye, torch.tensor(values)[None])[0]
    torch.testing.assert_close(torch.tensor(np.stack(lens(*points.T), -1)), expected, atol=1e-12, rtol=1e-12)


def test_opencvs_fisheye_is_kornias():
    from kornia.geometry.camera.distortion_kannala_brandt import distort_points_kannala_brandt

    points, values = _points(), np.array([0.1, -0.05, 0.02, -0.01])
    lens = Lens((Equidistant(), Brown(tuple(values))))
    params = torch.tensor([1.0, 1, 0, 0, *values], dtype=torch.float64)
    expected = distort_points_kannala_brandt(torch.tensor(points), params)
    torch.testing.assert_close(torch.tensor(np.stack(lens(*points.T), -1)), expected, atol=1e-9, rtol=1e-9)


def test_one_parameter_lenses_are_what_their_papers_say():
    r = np.linspace(0.01, 0.8, 9)
    zero = np.zeros_like(r)
    drawn = FieldOfView(0.9)(r, zero)[0]
    np.testing.assert_allclose(np.tan(drawn * 0.9) / (2 * math.tan(0.45)), r)
    drawn = Division(-0.15)(r, zero)[0]
    np.testing.assert_allclose(drawn / (1 - 0.15 * drawn**2), r)
    np.testing.assert_allclose(Unified(0.0, 1.0)(r, r)[1], r)  # a pinhole
    x, y = Unified(0.5, 1.0)(r, zero)  # a sphere seen from its top: the angle is halved
    np.testing.assert_allclose(x, 2 * np.tan(np.arctan(r) / 2))
    assert not y.any()
    np.testing.assert_allclose(FieldOfView(1e-9)(r, r)[0], r)


@pytest.mark.parametrize("name", LENSES)
def test_points_in_space_lie_where_the_pinhole_sees_them(name):
    """Blobs drawn where the lens draws points; straightened, they lie where the pinhole draws the same points."""
    lens = LENSES[name]
    undo = straighten(lens, CAMERA)
    assert undo is not None
    px, py = np.meshgrid(np.linspace(60, 520, 5), np.linspace(60, 400, 4))
    across, down = undo.target.plane(*(np.stack([px.ravel(), py.ravel()])))
    seen_x, seen_y = undo.source.pixels(*lens(across, down))
    grid_x, grid_y = np.meshgrid(np.arange(640) + 0.5, np.arange(480) + 0.5)
    picture = np.zeros((480, 640))
    for x, y in zip(seen_x, seen_y, strict=True):
        picture += np.exp(-((grid_x - x) ** 2 + (grid_y - y) ** 2) / 18)
    flat = undo(torch.tensor(picture, dtype=torch.float32)[None])[0].numpy()
    for x, y in zip(px.ravel(), py.ravel(), strict=True):
        left, top = int(x) - 16, int(y) - 16
        part = flat[top : top + 33, left : left + 33].astype(np.float64)
        middle = np.arange(33) + 0.5
        found = [(part.sum(0) * middle).sum() / part.sum() + left, (part.sum(1) * middle).sum() / part.sum() + top]
        assert found == pytest.approx([x, y], abs=0.35), name  # a blob that is bent is not quite centred


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-0.4, 0.4),
    st.floats(-0.2, 0.2),
    st.floats(-0.01, 0.01),
    st.sampled_from([(), (Equidistant(),)]),
    st.tuples(st.floats(0.3, 0.7), st.floats(0.3, 0.7)),
    st.floats(0.4, 2),
)
def test_every_pixel_that_is_left_was_seen(k1, k2, p1, before, middle, zoom):
    camera = Pinhole((640 * zoom, 640 * zoom), (640 * middle[0], 480 * middle[1]), (480, 640))
    lens = Lens((*before, Brown((k1, k2), (p1, -p1))))
    try:
        undo = straighten(lens, camera)
    except ArgumentError as error:
        assert "folds" in str(error)  # noqa: PT017, either is right
        return
    if undo is None:
        return
    height, width = undo.target.size
    px, py = np.meshgrid(np.linspace(0, width, 40), np.linspace(0, height, 30))
    x, y = undo.source.pixels(*lens(*undo.target.plane(px, py)))
    assert x.min() > -0.01
    assert y.min() > -0.01
    assert x.max() < 640.01
    assert y.max() < 480.01
    # and each only once: the map never turns back
    assert (np.diff(x, axis=1) > 0).all()
    assert (np.diff(y, axis=0) > 0).all()


def test_little_is_lost_of_a_usual_lens():
    undo = straighten(LENSES["barrel"], CAMERA)
    assert undo.target.focal == pytest.approx(CAMERA.focal, rel=1e-4)
    assert undo.target.size[0] * undo.target.size[1] > 0.98 * 480 * 640
    plain = torch.rand(4, 480, 640, generator=torch.Generator().manual_seed(0))
    out = undo(plain)
    assert out.shape[1:] == undo.target.size
    assert bool(((out >= 0) & (out[3] <= 1)).all())


def test_a_lens_that_hardly_does_anything_is_left_alone_and_one_that_folds_is_refused():
    assert straighten(Lens(), CAMERA) is None
    assert straighten(Lens((Brown((1e-6,)),)), CAMERA) is None
    for k in (-20.0, 1e300, -1e300):
        with pytest.raises(ArgumentError, match="folds"):
            straighten(Lens((Brown((k,)),)), CAMERA)
