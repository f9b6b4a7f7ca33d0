"""Interpolation against its definition, where nothing is seen, and its gradients."""

import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from neurotex.compat.pytorch3d.fragments import Fragments
from neurotex.compat.pytorch3d.interpolation import interpolate, interpolate_at


def _fragments(pix_to_face: Tensor, bary_coords: Tensor) -> Fragments:
    nothing = bary_coords.new_zeros(pix_to_face.shape)
    return Fragments(pix_to_face, nothing, bary_coords, nothing)


def _inputs(faces: int = 5, channels: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Two images of 3 × 4 pixels and 2 layers; coordinates need not sum to 1."""
    pix = torch.randint(-1, faces, (2, 3, 4, 2))
    return pix, torch.randn(2, 3, 4, 2, 3).double(), torch.randn(faces, 3, channels).double()


def test_values_are_the_weighted_sum_over_corners_and_zero_where_nothing_is_seen():
    pix, bary, attributes = _inputs()
    out = interpolate(_fragments(pix, bary), attributes)
    assert out.shape == (2, 3, 4, 2, 4)
    empty = pix < 0
    assert 0 < int(empty.sum()) < pix.numel()
    assert not bool(out[empty].any())
    expected = (bary[~empty][..., None] * attributes[pix[~empty]]).sum(1)
    torch.testing.assert_close(out[~empty], expected)


def test_images_without_anything_and_faces_without_images_are_fine():
    pix, bary, attributes = _inputs()
    assert not bool(interpolate(_fragments(torch.full_like(pix, -1), bary), attributes[:0]).any())
    assert interpolate_at(pix.new_empty(0), bary.new_empty(0, 3), attributes).shape == (0, 4)


def test_gradients_pass_gradcheck_and_stop_at_empty_pixels():
    pix, bary, attributes = (_inputs()[0], *(t.requires_grad_() for t in _inputs()[1:]))

    def call(bary: Tensor, attributes: Tensor) -> Tensor:
        return interpolate(_fragments(pix, bary), attributes)

    assert gradcheck(call, (bary, attributes))
    assert gradgradcheck(call, (bary, attributes))
    grads = torch.autograd.grad(call(bary, attributes).sum(), (bary, attributes))
    assert not bool(grads[0][pix < 0].any())
    unseen = torch.ones(5, dtype=torch.bool)
    unseen[pix[pix >= 0]] = False
    assert not bool(grads[1][unseen].any())


def test_only_what_is_asked_for_gets_a_gradient():
    pix, bary, attributes = _inputs()
    face = pix.clamp_min(0).flatten()
    out = interpolate_at(face, bary.flatten(0, 3), attributes.requires_grad_())
    (grad,) = torch.autograd.grad(out.sum(), attributes)
    expected = torch.zeros_like(attributes).index_add(0, face, bary.flatten(0, 3)[..., None].expand(-1, -1, 4))
    torch.testing.assert_close(grad, expected)
