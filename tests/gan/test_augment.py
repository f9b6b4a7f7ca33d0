"""Augmentations: what each operation does, how often, to which channels; and how strength adapts."""

import math

import pytest
import torch

from neurotex.errors import ArgumentError
from neurotex.gan.augment import CHANNELS, COLOURS, OPERATIONS, AdaptiveAugment, Augmentation

SEEDS = torch.arange(64)


def noise(channels: str = "rgb", n: int = 64, size: int = 8) -> torch.Tensor:
    return 2 * torch.rand(n, CHANNELS[channels], size, size) - 1


def apart(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The largest difference of each pair of images."""
    return (a - b).abs().flatten(1).max(1).values


@pytest.mark.parametrize("channels", CHANNELS)
def test_at_strength_zero_nothing_happens(channels):
    images = noise(channels)
    assert torch.equal(Augmentation(0.0, channels, operations=OPERATIONS)(images, SEEDS), images)
    assert torch.equal(Augmentation(1.0, channels, operations=())(images, SEEDS), images)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("tileable", [False, True])
def test_seeds_decide_in_whatever_batch(channels, tileable):
    images = noise(channels, 12)
    augment = Augmentation(0.5, channels, tileable, OPERATIONS)
    augmented, order = augment(images, SEEDS[:12]), torch.randperm(12)
    assert torch.equal(augment(images, SEEDS[:12]), augmented)
    torch.testing.assert_close(augment(images[order], SEEDS[order]), augmented[order])
    torch.testing.assert_close(augment(images[3:4], SEEDS[3:4]), augmented[3:4])
    other = augment(images, SEEDS[:12] + (1 << 40))  # seeds that differ in their upper bits differ
    assert (apart(other, augmented) > 1e-3).any()


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("tileable", [False, True])
def test_gradients_flow_through(channels, tileable):
    augment = Augmentation(0.8, channels, tileable, OPERATIONS)
    images = noise(channels, 3, 5).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augment(x, SEEDS[:3]), (images,), fast_mode=True)


# of images that an operation with probability p acts on, how many it changes: flips and turns draw nothing, too
@pytest.mark.parametrize(("operation", "changes"), [(o, {"flip": 1 / 2, "turn": 3 / 4}.get(o, 1)) for o in OPERATIONS])
def test_each_image_is_changed_with_the_probability_given(operation, changes):
    images, seeds = noise(n=600, size=16), torch.arange(600)
    for strength in (0.3, 1.0):
        augmented = Augmentation(strength, operations=(operation,))(images, seeds)
        same = (augmented == images).flatten(1).all(1)
        # four standard deviations; of shifts, 1 in 16 is by nothing
        allowed = 4 * math.sqrt(0.25 / 600) + (0.07 if operation == "shift" else 0)
        assert 1 - same.double().mean() == pytest.approx(strength * changes, abs=allowed)
        assert (apart(augmented, images)[~same] > 1e-4).double().mean() > 0.95


def test_operations_act_independently():
    seeds, images = torch.arange(800), noise(n=800, size=4)
    lighter, larger = (Augmentation(0.5, operations=(name,))(images, seeds) for name in ("brightness", "scale"))
    both = (apart(lighter, images) > 0) & (apart(larger, images) > 0)
    assert both.double().mean() == pytest.approx(0.25, abs=0.07)


def test_flips_and_turns_are_drawn_evenly():
    images = noise()
    flipped = Augmentation(1.0, operations=("flip",))(images, SEEDS)
    turned = Augmentation(1.0, operations=("turn",))(images, SEEDS)
    for augmented, choices in (
        (flipped, [images, images.flip(3)]),
        (turned, [images.rot90(k, (2, 3)) for k in range(4)]),
    ):
        far = torch.stack([apart(augmented, choice) for choice in choices])
        assert far.min(0).values.max() < 1e-5
        counts = far.argmin(0).bincount(minlength=len(choices))
        assert counts.min() > 0.5 * 64 / len(choices)


def test_whole_pixels_of_a_tileable_texture_come_round():
    images = noise(n=16)
    augmented = Augmentation(1.0, tileable=True, operations=("shift",))(images, SEEDS[:16])
    rolls = torch.stack([images.roll((y, x), (2, 3)) for y in range(8) for x in range(8)])
    far = (rolls - augmented).abs().amax((2, 3, 4))
    assert far.min(0).values.max() < 1e-5
    assert len(set(far.argmin(0).tolist())) > 8


def test_other_images_are_mirrored_at_their_edges():
    ramp = torch.arange(16.0).expand(32, 3, 16, 16) / 8 - 1
    augmented = Augmentation(1.0, operations=("shift",))(ramp, SEEDS[:32])
    steps = 8 * augmented.diff(dim=3)
    torch.testing.assert_close(steps.abs(), torch.ones_like(steps), rtol=0, atol=1e-4)
    torch.testing.assert_close(augmented[:, :, :1].expand_as(augmented), augmented, rtol=0, atol=1e-5)
    downhill = (steps < 0).sum(3)
    assert 0 < downhill.max() <= 2  # an eighth of the size, at most


@pytest.mark.parametrize("operation", ["scale", "rotate"])
def test_scale_and_rotation_are_about_the_middle(operation):
    """The image holds each pixel's place. Where no mirror image lies, that becomes Q place / s."""
    size = 33
    ticks = torch.linspace(-1, 1, size)
    place = torch.stack([ticks.expand(size, size), -ticks[:, None].expand(size, size), torch.zeros(size, size)])
    inner = place.norm(dim=0) < 0.5
    drawn = set()
    for augmented in Augmentation(1.0, operations=(operation,))(place.expand(16, -1, -1, -1), SEEDS[:16]):
        before, after = place[:2, inner].double(), augmented[:2, inner].double()
        linear = torch.linalg.lstsq(before.T, after.T).solution.T
        torch.testing.assert_close(linear @ before, after, rtol=0, atol=1e-4)
        squared = linear.det() * torch.eye(2).double()
        torch.testing.assert_close(linear @ linear.T, squared, rtol=0, atol=1e-4)
        value = linear.det().item() if operation == "scale" else math.atan2(*linear[:, 0])
        assert (abs(linear[0, 1]) < 1e-5) if operation == "scale" else linear.det().item() == pytest.approx(1, abs=1e-4)
        drawn.add(round(value, 3))
    assert len(drawn) > 12


def test_alpha_moves_with_its_colours_and_nothing_comes_in():
    images = torch.ones(32, 4, 16, 16)
    augmented = Augmentation(1.0, "rgba", operations=("shift", "scale", "rotate"))(images, SEEDS[:32])
    torch.testing.assert_close(augmented[:, :3], augmented[:, 3:].expand(-1, 3, -1, -1))
    assert augmented.min() == -1
    assert (augmented[:, :, 7:9, 7:9] > 0.99).all()
    assert (apart(augmented, images) > 1.9).double().mean() > 0.8


@pytest.mark.parametrize("channels", ["rgba", "material"])
def test_colour_operations_leave_other_channels_alone(channels):
    images = noise(channels)
    augmented = Augmentation(1.0, channels, operations=COLOURS)(images, SEEDS)
    assert torch.equal(augmented[:, 3:], images[:, 3:])
    assert apart(augmented[:, :3], images[:, :3]).min() > 0.01


def test_what_colour_operations_keep():
    images, grey = noise().double(), torch.full((3,), math.sqrt(1 / 3)).double()
    along = lambda x: torch.einsum("nchw,c->nhw", x, grey)  # noqa: E731
    across = lambda x: x - along(x)[:, None] * grey[:, None, None]  # noqa: E731
    after = {name: Augmentation(1.0, operations=(name,))(images, SEEDS) for name in COLOURS}
    for name in ("hue", "saturation"):
        torch.testing.assert_close(along(after[name]), along(images))
    torch.testing.assert_close(across(after["hue"]).norm(dim=1), across(images).norm(dim=1))
    torch.testing.assert_close(across(after["brightness"]), across(images))
    offsets = (after["brightness"] - images)[:, 0, 0, 0]
    torch.testing.assert_close(images + offsets[:, None, None, None], after["brightness"])
    assert offsets.std().item() == pytest.approx(0.2, rel=0.25)
    for name, keep in (("saturation", across), ("contrast", lambda x: x)):
        kept, made = keep(images), keep(after[name])
        factors = (kept * made).sum((1, 2, 3), keepdim=True) / kept.square().sum((1, 2, 3), keepdim=True)
        torch.testing.assert_close(made, factors * kept)
        # 2^N(0, 1) and 2^N(0, 0.5²)
        assert factors.log2().std().item() == pytest.approx(1 if name == "saturation" else 0.5, rel=0.25)


def heights(n: int, size: int) -> torch.Tensor:
    """Random smooth heights (n, 1, size, size) that wrap around, slopes about 1."""
    wave = 2 * math.pi * torch.arange(size) / size
    parts = []
    for _ in range(3):
        x, y = torch.randint(-2, 3, (2, n, 1, 1))
        parts.append(torch.cos(x * wave + y * wave[:, None] + 6 * torch.rand(n, 1, 1)))
    return size / 16 * torch.stack(parts).mean(0)[:, None]


def normals(height: torch.Tensor) -> torch.Tensor:
    """Normals' x (right) and y (up) by central differences around the torus, a pixel being the unit of length."""
    right = (height.roll(-1, 3) - height.roll(1, 3)) / 2
    up = (height.roll(1, 2) - height.roll(-1, 2)) / 2
    return -torch.cat([right, up], 1) / (1 + right.square() + up.square()).sqrt()


def material(height: torch.Tensor) -> torch.Tensor:
    return torch.cat([height.expand(-1, 3, -1, -1), normals(height), height], 1)


@pytest.mark.parametrize("operation", ["flip", "turn", "shift"])
def test_normals_are_those_of_the_moved_heights(operation):
    moved = Augmentation(1.0, "material", tileable=True, operations=(operation,))(material(heights(32, 16)), SEEDS[:32])
    torch.testing.assert_close(moved[:, 3:5], normals(moved[:, 5:]), rtol=0, atol=1e-4)


def test_normals_turn_by_odd_angles():
    before = material(heights(24, 64))
    moved = Augmentation(1.0, "material", operations=("flip", "turn", "rotate"))(before, SEEDS[:24])
    inner = torch.hypot(*torch.meshgrid(2 * [torch.linspace(-1, 1, 64)], indexing="ij")) < 0.9
    error = (moved[:, 3:5] - normals(moved[:, 5:]))[..., inner]
    assert error.square().mean().sqrt() < 0.02
    assert (moved - before)[:, 3:5].square().mean().sqrt() > 0.2


def test_scale_alone_leaves_normals_as_they_are():
    height = heights(16, 32)
    before = torch.cat([normals(height), 0 * height, normals(height), height], 1)
    moved = Augmentation(1.0, "material", True, operations=("scale",))(before, SEEDS[:16])
    torch.testing.assert_close(moved[:, 3:5], moved[:, :2])
    assert apart(moved, before).min() > 1e-3


def test_normals_are_mirrored_beyond_the_edge():
    """All but the pixels of the crease, at most a row and a column of them."""
    before = material(heights(32, 16))
    moved = Augmentation(1.0, "material", operations=("shift",))(before, SEEDS[:32])
    wrong = ((moved[:, 3:5] - normals(moved[:, 5:])).abs() > 1e-4).any(1)[:, 1:-1, 1:-1]
    rows, columns = wrong.all(2, keepdim=True), wrong.all(1, keepdim=True)
    assert not (wrong & ~rows & ~columns).any()
    assert rows.sum(1).max() == columns.sum(2).max() == 1


def test_strength_rises_while_the_discriminator_overfits_and_falls_back():
    augment = AdaptiveAugment(target=0.6, images=400, every=4)
    sure, guessing = torch.tensor([3.0, 2, 1, 4, 0.1]), torch.tensor([3.0, -2, 1, -4, 0.1])
    for call in range(1, 9):
        augment.observe(sure)
        assert augment.strength.item() == pytest.approx(0.05 * (call // 4))
    for _ in range(200):
        augment.observe(sure[:, None, None].expand(5, 2, 3))
    assert augment.strength.item() == pytest.approx(0.8)
    for _ in range(8):
        augment.observe(guessing)
    assert augment.strength.item() == pytest.approx(0.7)
    for _ in range(100):
        augment.observe(-sure)
    assert augment.strength.item() == 0


def test_what_is_observed_between_changes_counts_by_images():
    augment = AdaptiveAugment(target=0.5, images=100, every=2)
    augment.observe(torch.ones(6))
    augment.observe(-torch.ones(1))
    assert augment.strength.item() == pytest.approx(0.07)


def test_a_checkpoint_goes_on_where_it_was():
    augment, again, images = AdaptiveAugment(images=60), AdaptiveAugment(images=60), noise()
    for _ in range(6):
        augment.observe(torch.ones(8, 1))
    again.load_state_dict(augment.state_dict())
    for one in (augment, again):
        one.observe(torch.ones(8, 1))
        one.observe(torch.ones(8, 1))
    assert again.strength == augment.strength > 0.5
    assert torch.equal(again(images, SEEDS), augment(images, SEEDS))
    assert not torch.equal(again(images, SEEDS), images)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Augmentation(1.5), "a probability, from 0 to 1, not 1.5"),
        (lambda: Augmentation(channels="hsv"), "no channels 'hsv': choose one of rgb, rgba, material"),
        (lambda: Augmentation(operations=("flip", "blur")), "no operation 'blur': choose from flip"),
        (
            lambda: Augmentation()(noise("rgba"), SEEDS),
            r"3 channels and a seed for each, not \(64, 4, 8, 8\)",
        ),
        (lambda: AdaptiveAugment(target=1.0), "target between -1 and 1"),
        (lambda: AdaptiveAugment(images=0), "images and every above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
