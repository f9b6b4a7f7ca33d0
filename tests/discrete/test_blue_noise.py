import torch

from neurotex.discrete.blue_noise import SIDE, _void_and_cluster, bayer, blue_noise


def test_bayers_matrix_is_the_published_one():
    assert bayer(2).tolist() == [[0, 2], [3, 1]]
    assert bayer(4).tolist() == [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]
    assert bayer().flatten().sort().values.tolist() == list(range(64))


def test_every_rank_is_there_once_and_always_in_the_same_place():
    first = blue_noise()
    assert first.shape == (SIDE, SIDE)
    assert torch.equal(first.flatten().sort().values, torch.arange(SIDE * SIDE))
    _void_and_cluster.cache_clear()
    assert torch.equal(blue_noise(), first)


def test_every_grey_has_its_power_in_high_frequencies():
    frequency = torch.fft.fftfreq(SIDE, dtype=torch.float64)
    radius = (frequency[:, None].square() + frequency.square()).sqrt()
    for grey in (0.05, 0.1, 0.3, 0.5, 0.8):
        on = (blue_noise() < grey * SIDE**2).double()
        power = torch.fft.fft2(on - on.mean()).abs().square() / SIDE**2
        white = on.var().item()  # what any order of the same texels has in the mean
        # well below the frequency at which points of this density would lie on a square grid
        low = (radius > 0) & (radius < 0.4 * min(grey, 1 - grey) ** 0.5)
        assert float(power[low].mean()) < 0.1 * white


def test_no_two_texels_of_a_light_grey_touch_also_across_tiles():
    on = (blue_noise() < 0.1 * SIDE**2).double().repeat(2, 2)[None, None]
    around = torch.nn.functional.conv2d(on, torch.ones(1, 1, 3, 3, dtype=torch.float64))
    assert float((around * on[..., 1:-1, 1:-1]).max()) == 1
