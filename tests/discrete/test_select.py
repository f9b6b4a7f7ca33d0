import torch
from torch.autograd import grad

from neurotex.discrete.estimators import ScoreFunction, Surrogate
from neurotex.discrete.select import Select


def test_weights_are_one_for_the_largest_logit_and_the_first_of_equals():
    x = torch.tensor([[0.0, 2, 2, 1], [5, 2, 3, 1], [4, 1, 2, 1]])[None, :, None]
    assert Select()(x)[0, :, 0].tolist() == [[0, 1, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0]]


def test_textures_mix_by_the_weights():
    logits, textures = torch.randn(1, 4, 6, 5), torch.rand(4, 3, 6, 5)
    mixed = torch.einsum("nkhw,kchw->nchw", Select()(logits), textures)
    for y in range(6):
        for x in range(5):
            assert torch.equal(mixed[0, :, y, x], textures[int(logits[0, :, y, x].argmax()), :, y, x])


def test_the_surrogate_is_the_softmax():
    logits = torch.randn(2, 4, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(Select(Surrogate(0.7))(logits), (logits / 0.7).softmax(1))


def test_straight_through_moves_a_logit_as_its_weight_should():
    logits, textures = torch.randn(1, 2, 3, 3, requires_grad=True), torch.rand(2, 1, 3, 3)
    loss = torch.einsum("nkhw,kchw->nchw", Select()(logits), textures).sum()
    assert torch.equal(grad(loss, logits)[0], textures[None, :, 0])


def test_draws_have_the_odds_of_the_softmax():
    logits = torch.tensor([0.0, 1, 2]).view(1, 3, 1, 1).expand(1, 3, 100, 100)
    share = Select(ScoreFunction(1.0))(logits).mean((0, 2, 3))
    torch.testing.assert_close(share, torch.tensor([0.0, 1, 2]).softmax(0), atol=0.02, rtol=0)
