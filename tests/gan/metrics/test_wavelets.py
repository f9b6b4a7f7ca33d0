"""Wavelets: they share out all power, measure what waves have, and do not mind where a texture begins."""

import math

import pytest
import torch

from neurotex.gan.metrics.wavelets import (
    OCTAVES,
    ORIENTATIONS,
    amplitudes,
    coarse_energy,
    filtered,
    modulations,
    spectra,
)

SIZE = 64


def energy(images, octave, orientation):
    return filtered(spectra(images), octave, orientation).abs().square().sum((2, 3))


def wave(period, orientation, size=128):
    """A cosine whose crests lie across the direction of an orientation."""
    angle = math.pi * orientation / ORIENTATIONS
    ticks = torch.arange(size, dtype=torch.float64) / size
    cycles = [round(size / period * f) for f in (math.sin(angle), math.cos(angle))]
    return torch.cos(2 * math.pi * (cycles[0] * ticks[:, None] + cycles[1] * ticks))[None, None]


@pytest.mark.parametrize("octave", range(OCTAVES))
@pytest.mark.parametrize("orientation", range(ORIENTATIONS))
def test_a_wave_is_found_in_its_octave_and_orientation(octave, orientation):
    images = 3 * wave(4 * 2**octave, orientation)
    found = torch.tensor([[energy(images, j, k) for k in range(ORIENTATIONS)] for j in range(OCTAVES)])
    assert found.argmax() == octave * ORIENTATIONS + orientation
    # one half of the plane sees half of the amplitude 3; the frequencies of diagonal waves are rounded
    assert found.max().sqrt() == pytest.approx(1.5, rel=0.03)
    u = amplitudes(filtered(spectra(images), octave, orientation))
    assert torch.allclose(u, torch.full_like(u, 1.5), rtol=0.03)


def test_bands_share_out_the_power_of_all_but_the_finest_waves():
    noise = torch.randn(2, 1, SIZE, SIZE, dtype=torch.float64)
    spectrum = spectra(noise - noise.mean((2, 3), keepdim=True))
    y, x = (torch.arange(SIZE)[:, None] - SIZE // 2) / SIZE, (torch.arange(SIZE) - SIZE // 2) / SIZE
    spectrum = spectrum * (torch.hypot(x, y) < 0.24)  # beyond a quarter, the finest octave fades
    power = spectrum.abs().square().sum((2, 3))
    bands = sum(
        2 * filtered(spectrum, j, k).abs().square().sum((2, 3)) for j in range(OCTAVES) for k in range(ORIENTATIONS)
    )
    assert torch.allclose(bands + coarse_energy(spectrum), power, rtol=0.02)


def test_amplitudes_agree_with_filtering_at_full_resolution():
    """Keeping a square of the spectrum loses a few percent of the finest octave, and nothing of a wave within it."""
    image = torch.randn(1, 1, 128, 128, dtype=torch.float64)
    u = amplitudes(filtered(spectra(image), 1, 2))
    y, x = torch.fft.fftfreq(128)[:, None].double(), torch.fft.fftfreq(128).double()
    radius, angle = torch.hypot(x, y), torch.atan2(y, x.expand(128, 128))
    gain = (math.pi / 2 * (radius.clamp_min(1e-9) * 8).log2().clamp(-1, 1)).cos()
    gain = gain * (2 * (angle - math.pi / 2)).clamp(-math.pi / 2, math.pi / 2).cos()
    whole = torch.fft.ifft2(torch.fft.fft2(image) * gain).abs()[:, :, ::4, ::4]
    assert u.shape == whole.shape
    assert (u - whole).abs().mean() < 0.03 * whole.mean()


def test_modulations_find_the_beat_of_two_waves():
    """cos(a) + cos(b) has the amplitude |cos((a − b) / 2)|, which beats with the frequency of a − b."""
    ticks = torch.arange(SIZE, dtype=torch.float64) / SIZE
    beat = sum(torch.cos(2 * math.pi * c * ticks).expand(1, 1, SIZE, SIZE) for c in (16, 20))  # a beat of 16 pixels
    u = amplitudes(filtered(spectra(beat), 0, 0))
    found = modulations(u, (SIZE, SIZE), 0)[0, 0]
    assert found.shape == (OCTAVES - 1, ORIENTATIONS)
    assert found.argmax() == ORIENTATIONS * 1  # octave 2 of waves of 16 pixels, along the same direction
    assert found.max() > 100 * modulations(torch.ones_like(u), (SIZE, SIZE), 0).max()
