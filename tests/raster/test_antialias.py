"""Antialiasing: gradients against finely sampled images, what blends and what must not, kernel against reference."""

import math
from collections.abc import Callable
from functools import lru_cache

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from neurotex.errors import ArgumentError
from neurotex.raster import sample_surface, z_buffer
from neurotex.raster.antialias import (
    Crossings,
    _find_crossings,
    _gain,
    antialias,
    edge_blends,
    find_crossings_reference,
    opposite_corners,
)
from neurotex.raster.antialias_kernels import EDGE, MEETING

SIZE = 40  # pixels across the images of the gradient tests
FINE = 32  # samples per pixel across of what they are compared with
FOCAL = 80.0


def _perspective(xy: Tensor, w: Tensor) -> Tensor:
    return torch.cat([xy * w[..., None], w[..., None], w[..., None]], -1)


def _icosphere(subdivisions: int) -> tuple[Tensor, Tensor]:
    golden = (1 + math.sqrt(5)) / 2
    points = [(-1, golden, 0), (1, golden, 0), (-1, -golden, 0), (1, -golden, 0)]
    points = torch.tensor([p[k:] + p[:k] for k in range(3) for p in points], dtype=torch.float64)
    points = points / points.norm(dim=1, keepdim=True)
    near = torch.cdist(points, points) < 1.1
    faces = torch.tensor(
        [
            (i, j, k)
            for i in range(12)
            for j in range(i + 1, 12)
            for k in range(j + 1, 12)
            if near[i, j] and near[j, k] and near[i, k]
        ]
    )
    for _ in range(subdivisions):
        edges = torch.stack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]], 1).view(-1, 2).sort(1).values
        edges, index = edges.unique(dim=0, return_inverse=True)
        middle = points[edges].mean(1)
        ab, bc, ca = (index.view(-1, 3) + len(points)).unbind(1)
        points = torch.cat([points, middle / middle.norm(dim=1, keepdim=True)])
        a, b, c = faces.unbind(1)
        faces = torch.cat([torch.stack(f, 1) for f in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))])
    return points, faces


def _camera(points: Tensor, size: int = SIZE) -> Tensor:
    """Screen space of a pinhole camera at the origin that looks along +z."""
    z = points[:, 2]
    return torch.stack([FOCAL * points[:, 0] + size / 2 * z, FOCAL * points[:, 1] + size / 2 * z, z, z], 1)


def _centres(size: int, grid: int) -> Tensor:
    line = (torch.arange(size * grid, dtype=torch.float64) + 0.5) / grid
    return torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)


@lru_cache(maxsize=4)
def _wall(grid: int) -> Tensor:
    """The background, two channels, sampled at `grid` × `grid` points per pixel."""
    x, y = _centres(SIZE, grid).unbind(-1)
    image = torch.stack([0.25 + 0.15 * (0.55 * x + 0.3 * y).sin(), 0.25 + 0.15 * (0.25 * x - 0.4 * y).cos()], -1)
    return image.to(torch.float64 if grid < FINE else torch.float32)


def _shade(attributes: Tensor) -> Tensor:
    """One channel constant on the object, one with a pattern."""
    pattern = 0.7 + 0.2 * (6 * attributes[:, 0] + 3 * attributes[:, 1]).sin()
    return torch.stack([torch.full_like(pattern, 0.8), pattern], 1)


def _image(screen: Tensor, faces: Tensor, attributes: Tensor, grid: int) -> Tensor:
    """(SIZE, SIZE, 2), box filtered from `grid` × `grid` samples per pixel; antialiased unless these are `FINE`."""
    fine = screen * screen.new_tensor([grid, grid, 1, 1])
    wall, size = _wall(grid), (SIZE * grid, SIZE * grid)
    samples = sample_surface(fine, faces, attributes.to(wall), size)
    image = wall.flatten(0, 1).index_copy(0, samples.pixel, _shade(samples.values)).view(*size, -1)
    if grid < FINE:
        image = antialias(image, z_buffer(fine, faces, size)[0], fine, faces)
    return image.view(SIZE, grid, SIZE, grid, -1).mean((1, 3)).double()


def _turned(points: Tensor, angle: Tensor, centre: Tensor) -> Tensor:
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    turn = torch.stack([torch.stack([c, -s, zero]), torch.stack([s, c, zero]), torch.stack([zero, zero, one])])
    return (points - centre) @ turn.T + centre


def _moved(points: Tensor, motion: Tensor) -> Tensor:
    """Moved by (x, y), and turned about a point beside the middle."""
    turned = _turned(points, motion[2], points.mean(0) + points.new_tensor([0.4, 0.3, 0]))
    return turned + torch.cat([motion[:2], motion.new_zeros(1)])


def _object(shape: str, seed: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    if shape == "triangle":
        angle = 6.28 * torch.rand(1, generator=rng) + torch.tensor([0.0, 2.1, 4.2])
        depth = 4 + 0.6 * torch.rand(3, generator=rng)
        return torch.stack([angle.cos(), angle.sin(), depth], 1).double(), torch.tensor([[0, 1, 2]])
    points, faces = _icosphere(3)
    offset = torch.cat([0.1 * torch.rand(2, generator=rng), torch.tensor([4.5])])
    return 0.9 * points + offset.double(), faces


def _objectives(shape: str, seed: int) -> dict[str, Callable]:
    """A smooth weighted sum, and a squared distance to where the object was a few pixels away; of either channel."""
    x, y = _centres(SIZE, 1).unbind(-1)
    weight = (-((x - 26) ** 2 + (y - 15) ** 2) / 150).exp()
    points, faces = _object(shape, seed)
    there = _moved(points, points.new_tensor([0.15, -0.1, 0.25]))
    target = _image(_camera(there), faces, points - points.mean(0), FINE)
    sums = {f"sum {c}": lambda image, c=c: (image[..., c] * weight).sum() for c in (0, 1)}
    return sums | {f"mse {c}": lambda image, c=c: ((image[..., c] - target[..., c]) ** 2).sum() for c in (0, 1)}


def gradient_errors(shape: str, seeds: int) -> dict[tuple[str, int], float]:
    """Relative distance of analytic gradients from central differences of finely sampled images, over all motions."""
    pairs: dict[tuple[str, int], list] = {}
    for seed in range(seeds):
        points, faces = _object(shape, seed)
        attributes = points - points.mean(0)
        objectives = _objectives(shape, seed)
        differences = {name: [] for name in objectives}
        for axis in torch.eye(3, dtype=torch.float64):
            step = 0.005 * axis  # about 3 samples, a tenth of a pixel
            there, back = (_image(_camera(_moved(points, sign * step)), faces, attributes, FINE) for sign in (1, -1))
            for name, objective in objectives.items():
                differences[name].append((objective(there) - objective(back)) / 0.01)
        for grid in (1, 4):
            motion = torch.zeros(3, dtype=torch.float64, requires_grad=True)
            image = _image(_camera(_moved(points, motion)), faces, attributes, grid)
            for name, objective in objectives.items():
                (gradient,) = torch.autograd.grad(objective(image), motion, retain_graph=True)
                pairs.setdefault((name, grid), []).append((gradient, torch.stack(differences[name])))
    errors = {}
    for key, found in pairs.items():
        ours, expected = (torch.cat(side) for side in zip(*found, strict=True))
        errors[key] = float((ours - expected).norm() / expected.norm())
    return errors


@pytest.mark.parametrize("shape", ["triangle", "sphere"])
def test_gradients_are_those_of_an_image_of_1024_samples_per_pixel(shape):
    errors = gradient_errors(shape, seeds=1)
    assert len(errors) == 8
    assert max(errors.values()) < 0.05, errors


def _leaning_edge(angle: float, offset: Tensor, size: int = 32) -> Tensor:
    """A triangle with one edge through the image, `offset` pixels from its middle; the others are far away."""
    along = torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
    normal = torch.stack([-along[1], along[0]])
    on = size / 2 + offset * normal
    return _perspective(torch.stack([on - 300 * along, on + 300 * along, on - 300 * normal]), torch.ones(3).double())


def _coverage(screen: Tensor, size: int = 32) -> Tensor:
    faces = torch.arange(3)[None]
    ids, _ = z_buffer(screen, faces, (size, size))
    return antialias((ids >= 0).to(screen)[..., None], ids, screen, faces)[..., 0]


@pytest.mark.parametrize("angle", [0.1, 0.46, 0.7, 1.2, 2.0, 3.5, 5.0])
def test_a_straight_edge_covers_the_area_of_each_pixel(angle):
    """One sample per pixel gives what 4,096 do, but in border pixels, where the line leaves the image."""
    screen = _leaning_edge(angle, torch.tensor(0.3).double())
    fine, _ = z_buffer(screen * torch.tensor([64, 64, 1, 1]), torch.arange(3)[None], (2048, 2048))
    exact = (fine >= 0).double().view(32, 64, 32, 64).mean((1, 3))
    aliased = (z_buffer(screen, torch.arange(3)[None], (32, 32))[0] >= 0).double()
    ours = _coverage(screen)
    inner = (slice(1, -1), slice(1, -1))
    torch.testing.assert_close(ours[inner], exact[inner], atol=0.01, rtol=0)
    assert (aliased - exact).norm() > 2 * (ours - exact).norm()


@given(st.integers(0, 10_000), st.floats(-0.7, 0.7))
def test_every_unit_of_an_edge_is_counted_once(seed, offset):
    """The area of a random triangle, and how it grows with each corner, to what its corners' own cells amount to."""
    rng = torch.Generator().manual_seed(seed)
    angle = 2.0944 * torch.arange(3) + 6.28 * torch.rand(1, generator=rng) + 0.5 * torch.rand(3, generator=rng)
    corners = (32 + offset + 28 * torch.stack([angle.cos(), angle.sin()], 1)).double().requires_grad_()
    a, b, c = corners.unbind(0)
    exact = ((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])) / 2
    area = _coverage(_perspective(corners, 1 + torch.rand(3, generator=rng).double()), 64).sum()
    assert abs(area - exact) < 2
    ours, expected = (torch.autograd.grad(value, corners)[0] for value in (area, exact))
    assert (ours - expected).norm() < 0.06 * expected.norm()


def _soup(seed: int, vertices: int = 40, across: float = 30.0) -> tuple[Tensor, Tensor]:
    """Triangles that share vertices, cut through each other, and lie behind the camera in part."""
    rng = torch.Generator().manual_seed(seed)
    depth = 3 * torch.rand(vertices, 1, generator=rng, dtype=torch.float64) - 0.4
    place = across * torch.rand(vertices, 2, generator=rng, dtype=torch.float64) - 3
    return torch.cat([place * depth, depth, depth], 1), torch.randint(vertices, (vertices, 3), generator=rng)


def test_gradcheck():
    screen, faces = _soup(1, 14, 16.0)
    ids, _ = z_buffer(screen, faces, (9, 11))
    kinds = find_crossings_reference(ids, screen, faces, opposite_corners(faces)).kind
    assert int((kinds == EDGE).sum()) > 10
    assert int((kinds == MEETING).sum()) > 2
    image = torch.rand(9, 11, 1, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda image, screen: antialias(image, ids, screen, faces), (image, screen.requires_grad_()))


def _assert_kernel_equals_reference(screen: Tensor, faces: Tensor, size: tuple[int, int]) -> None:
    ids, _ = z_buffer(screen, faces, size)
    table = opposite_corners(faces)
    ours = Crossings(*_find_crossings(ids, screen, faces, table))
    expected = find_crossings_reference(ids, screen, faces, table)
    for name in ("place", "axis", "kind", "a", "b", "before", "after"):
        assert torch.equal(getattr(ours, name), getattr(expected, name)), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_kernel_equals_the_reference(dtype):
    for seed in range(5):
        screen, faces = _soup(seed)
        _assert_kernel_equals_reference(screen.to(dtype), faces, (31, 26))
    points, faces = _icosphere(4)
    _assert_kernel_equals_reference(_camera(points + torch.tensor([0.1, 0, 4.0])).to(dtype), faces, (40, 40))


@st.composite
def anything(draw):
    """Few vertices, NaN and infinities among them, and faces between them, degenerate ones too."""
    values = st.one_of(st.floats(-5, 20, width=32), st.integers(0, 8).map(float), st.floats(width=32))
    screen = draw(hnp.arrays(np.float32, (draw(st.integers(1, 7)), 4), elements=values))
    if draw(st.booleans()):
        screen[:, 2:] = np.abs(screen[:, 2:]) + 0.5
    faces = draw(hnp.arrays(np.int64, (draw(st.integers(0, 9)), 3), elements=st.integers(0, len(screen) - 1)))
    return torch.from_numpy(screen), torch.from_numpy(faces), draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))


@given(anything())
def test_no_input_gives_nan(case):
    screen, faces, size = case
    ids, _ = z_buffer(screen, faces, size)
    image = torch.rand(*size, 2, requires_grad=True)
    result = antialias(image, ids, screen.requires_grad_(), faces)
    assert bool(result.isfinite().all())
    gradients = torch.autograd.grad(result.sum(), (image, screen), allow_unused=True, materialize_grads=True)
    assert not any(bool(gradient.isnan().any()) for gradient in gradients)
    if len(faces):
        _assert_kernel_equals_reference(screen.detach(), faces, size)


def test_a_smooth_surface_does_not_blend():
    """A jittered grid that covers the image, most of its faces smaller than a sample."""
    n = 60
    place = torch.stack(torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij"), -1).flatten(0, 1).double()
    place = (place + 0.6 * torch.rand(n * n, 2)) * 0.45 - 2
    a = torch.arange(n * n).view(n, n)[:-1, :-1].flatten()
    faces = torch.cat([torch.stack([a, a + 1, a + n + 1], 1), torch.stack([a, a + n + 1, a + n], 1)])
    screen = _perspective(place, 1 + torch.rand(n * n).double())
    ids, _ = z_buffer(screen, faces, (18, 18))
    assert bool((ids >= 0).all())
    assert len(ids.unique()) > 200
    assert len(edge_blends(ids, screen, faces).to) == 0


def test_a_silhouette_of_faces_smaller_than_a_sample_loses_nothing():
    """Area of a sphere's image, 20,480 faces on 24 pixels across, and how it grows with the sphere."""
    points, faces = _icosphere(5)
    scale = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    screen = _perspective(16 + 12 * scale * points[:, :2], 3 - points[:, 2] / 2)
    ids, _ = z_buffer(screen, faces, (32, 32))
    area = antialias((ids >= 0).double()[..., None], ids, screen, faces).sum()
    assert abs(area - math.pi * 144) < 2
    (growth,) = torch.autograd.grad(area, scale)
    assert abs(growth - 2 * math.pi * 144) < 0.02 * 2 * math.pi * 144


def test_faces_that_cut_through_each_other_blend_where_they_meet():
    """Planes z = 3 + (x − x₀)/4 and z = 3 − (x − x₀)/4 of parallel rays meet at x₀ = 5.7 + 4 · lift."""
    x = torch.tensor([-20.0, 40, 10], dtype=torch.float64)
    y = torch.tensor([-30.0, -30, 60], dtype=torch.float64)
    lift = torch.tensor([0.0, 0.0], dtype=torch.float64, requires_grad=True)
    z = torch.cat([20 + (x - 5.7) / 4 + lift[0], 20 - (x - 5.7) / 4 + lift[1]])
    screen = torch.stack([x.repeat(2), y.repeat(2), z, torch.ones(6)], 1)
    faces = torch.arange(6).view(2, 3)
    ids, _ = z_buffer(screen, faces, (4, 12))
    row = antialias((ids == 0).double()[..., None], ids, screen, faces)[2, :, 0]
    torch.testing.assert_close(row[:7], torch.tensor([1, 1, 1, 1, 1, 0.7, 0]).double())
    (gradient,) = torch.autograd.grad(row.sum(), lift)
    torch.testing.assert_close(gradient, torch.tensor([-2.0, 2]).double())


def test_the_corner_table_pairs_what_shares_an_edge():
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [1, 4, 5], [1, 5, 2]])
    assert opposite_corners(faces).tolist() == [[10, 5, -1], [-1, -1, 1], [-1, 11, -1], [-1, 0, 7]]
    fan = torch.tensor([[0, 1, 2], [1, 0, 3], [0, 1, 4]])
    assert bool((opposite_corners(fan) == -1).all())  # three faces at one edge


def test_a_border_of_doubled_vertices_blends():
    """Two squares side by side: one surface if they share vertices, two if they do not."""
    corners = torch.tensor([[-1.0, -1], [4.3, -1], [4.3, 9], [-1, 9], [9, -1], [9, 9], [4.3, -1], [4.3, 9]])
    screen = _perspective(corners, torch.ones(8))
    shared = torch.tensor([[0, 1, 2], [0, 2, 3], [1, 4, 5], [1, 5, 2]])
    doubled = torch.tensor([[0, 1, 2], [0, 2, 3], [6, 4, 5], [6, 5, 7]])
    ids, _ = z_buffer(screen, shared, (8, 8))
    image = (ids >= 2).to(screen)[..., None]
    assert torch.equal(antialias(image, ids, screen, shared), image)
    expected = torch.tensor([0, 0, 0, 0, 0.7, 1, 1, 1]).expand(8, 8)
    torch.testing.assert_close(antialias(image, ids, screen, doubled)[..., 0], expected)


def test_nothing_seen_leaves_the_image_as_it_is():
    image, none = torch.rand(3, 4, 2), torch.full((3, 4), -1, dtype=torch.int32)
    assert torch.equal(antialias(image, none, torch.zeros(0, 4), torch.zeros(0, 3, dtype=torch.int64)), image)
    assert torch.equal(antialias(image, none, torch.zeros(3, 4), torch.tensor([[0, 1, 2]])), image)


def test_input_that_does_not_belong_together_is_refused():
    screen, faces = torch.rand(3, 4), torch.tensor([[0, 1, 2]])
    with pytest.raises(ArgumentError, match="one face per sample"):
        antialias(torch.rand(4, 4, 3), torch.zeros(4, 5, dtype=torch.int32), screen, faces)
    with pytest.raises(ArgumentError, match="names face 1"):
        antialias(torch.rand(4, 4, 3), torch.ones(4, 4, dtype=torch.int32), screen, faces)


def test_an_edge_that_hardly_leans_has_exact_derivatives():
    """σ² has the mean s² + m²/12 over [s − m/2, s + m/2]: slopes of (high − low) / m would be nothing but rounding."""
    shift, lean = torch.tensor([0.3], dtype=torch.float64), torch.tensor([1e-6], dtype=torch.float64)
    one = torch.ones(1, dtype=torch.int64)
    weights = torch.func.hessian(lambda s, m: _gain(s, m, one, one)[0], (0, 1))(shift, lean)
    expected = torch.tensor([-1, 1, 1, -1], dtype=torch.float64) / 2
    torch.testing.assert_close(weights[0][0].flatten(), 2 * expected)
    torch.testing.assert_close(weights[0][1].flatten(), 0 * expected)
    torch.testing.assert_close(weights[1][1].flatten(), expected / 6)
