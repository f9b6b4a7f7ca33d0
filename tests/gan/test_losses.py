"""Adversarial losses against their closed forms, values and slopes."""

import pytest
import torch

from neurotex.gan.losses import Hinge, LeastSquares, NonSaturating, Wasserstein

# what each logit costs, and the derivative: of a real one, of a fake, and of a fake to the generator
FORMS = {
    NonSaturating: (
        (lambda r: torch.log(1 + torch.exp(-r)), lambda r: -1 / (1 + torch.exp(r))),
        (lambda f: torch.log(1 + torch.exp(f)), lambda f: 1 / (1 + torch.exp(-f))),
        (lambda f: torch.log(1 + torch.exp(-f)), lambda f: -1 / (1 + torch.exp(f))),
    ),
    Hinge: (
        (lambda r: (1 - r) * (r < 1), lambda r: -(r < 1).double()),
        (lambda f: (1 + f) * (f > -1), lambda f: (f > -1).double()),
        (lambda f: -f, lambda f: -torch.ones_like(f)),
    ),
    LeastSquares: (
        (lambda r: (r - 1) ** 2 / 2, lambda r: r - 1),
        (lambda f: f**2 / 2, lambda f: f),
        (lambda f: (f - 1) ** 2 / 2, lambda f: f - 1),
    ),
    Wasserstein: (
        (lambda r: -r, lambda r: -torch.ones_like(r)),
        (lambda f: f, lambda f: torch.ones_like(f)),
        (lambda f: -f, lambda f: -torch.ones_like(f)),
    ),
}


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("shape", [(5,), (5, 1), (3, 4, 2)])
def test_values_and_slopes_in_closed_form(kind, shape):
    loss, (of_real, of_fake, of_made) = kind(), FORMS[kind]
    real, fake = (2 * torch.randn(n, *shape[1:], dtype=torch.double) for n in (shape[0], shape[0] + 1))
    real.requires_grad_()
    fake.requires_grad_()
    told, made = loss.discriminator(real, fake), loss.generator(fake)
    torch.testing.assert_close(told, of_real[0](real).mean() + of_fake[0](fake).mean())
    torch.testing.assert_close(made, of_made[0](fake).mean())
    slopes = torch.autograd.grad(told, (real, fake))
    torch.testing.assert_close(slopes[0], of_real[1](real) / real.numel())
    torch.testing.assert_close(slopes[1], of_fake[1](fake) / fake.numel())
    torch.testing.assert_close(torch.autograd.grad(made, fake)[0], of_made[1](fake) / fake.numel())


@pytest.mark.parametrize("kind", FORMS)
def test_derivatives(kind):
    loss = kind()
    real, fake = (torch.randn(4, 2, dtype=torch.double, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(loss.discriminator, (real, fake))
    assert torch.autograd.gradcheck(loss.generator, (fake,))
    assert torch.autograd.gradgradcheck(loss.discriminator, (real, fake))


@pytest.mark.parametrize("kind", FORMS)
def test_logits_of_any_size_give_finite_slopes(kind):
    logits = torch.tensor([-1e4, 0.0, 1e4], requires_grad=True)
    (kind().discriminator(logits, logits) + kind().generator(logits)).backward()
    assert logits.grad.isfinite().all()


def test_losses_are_values():
    assert Hinge() == Hinge()
    assert Hinge() != Wasserstein()
