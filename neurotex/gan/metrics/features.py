"""Statistics of textures as a feature network: fixed wavelets, nothing to download and nothing to train.

A *feature network* is a module: images (n, channels, h, w) in [0, 1] → features (n, num_features), with the attribute
`num_features`. It may have `maps(images)`, a list of (n, k, h', w') to compare pictures place by place, and
`logits(images)`, (n, classes), to score how surely and how variously images are classified.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float
from torch import Tensor, nn

from ...errors import ArgumentError
from ...images.oklab import srgb_to_oklab
from .wavelets import OCTAVES, ORIENTATIONS, amplitudes, coarse_energy, filtered, modulations, spectra

SMALLEST = 32  # pixels: the coarsest waves are this long
CHROMA = 4  # how much less chroma varies than lightness
UNSEEN = 1e-5  # a variance: (0.003)², about what 8 bits do not tell apart
LEAST_CONTRAST = 0.02  # an amplitude against which differences in amplitude count fully
AT_ONCE = 32  # images: more do not fit the cache

# what is typical: mean and standard deviation over procedural materials, rounded; one value each, or one per octave
TYPICAL = {
    "mean": (0.0, 0.15),
    "contrast": (-3.2, 1.0),
    "skewness": (0.0, 0.6),
    "correlation": (0.0, 0.55),
    "energy": ((-5.5, -5.2, -5.0, -4.9), 0.9),
    "finer": (-5.0, 0.9),
    "coarser": (-4.8, 1.2),
    "evenness": ((-0.25, -0.17, -0.11, -0.07), (0.13, 0.10, 0.08, 0.07)),
    "modulation": (-2.3, 0.33),
    "coherence": (0.0, 0.5),
    "phase": (0.0, 0.25),
    "company": (0.35, 0.3),
}
GROUPS = (
    ("mean", "contrast", "skewness", "correlation"),
    ("energy", "finer", "coarser", "evenness"),
    ("modulation",),
    ("coherence", "phase", "company"),
)


class TextureFeatures(nn.Module):
    """Images (n, channels, h, w) in [0, 1], at least 32 pixels wide and high → features (n, num_features).

    The first three of three or more channels are sRGB-encoded colours, seen in OKLab; others are taken as they are.
    Four groups of statistics, in the tradition of Portilla and Simoncelli (2000) and of Bruna and Mallat (2013):

    - colour: of every channel the mean, log standard deviation and skewness; of every two their correlation;
    - first order: log energies of the waves of every octave and orientation, and of what is finer and coarser; and how
      evenly a wave is spread, log (mean |u| / root mean |u|²) of its local amplitude |u|;
    - second order: how much |u| itself changes, in waves of coarser octaves along, across and askew;
    - cross: of every two channels the coherence of their waves in each octave (base colour that follows height), their
      phase in each orientation (normals are the slope of height), and the correlation of their amplitudes.

    Each feature has about zero mean and unit variance on procedural materials, and each group the same total variance.
    Images are periodic: rolling one changes only what is measured on |u|, which is seen on a grid, and that by about a
    hundredth of a standard deviation. There is no randomness.

    **Distances between such features compare among themselves only**: a FID from them is no FID of the literature,
    which uses `Inception`, and figures of other numbers of channels or other image sizes are other figures.
    """

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        if channels < 1:
            raise ArgumentError(f"texture features need at least one channel, got {channels}.")
        self.channels = channels
        pairs = channels * (channels - 1) // 2
        colour, first = 3 * channels + pairs, channels * (2 * OCTAVES * ORIENTATIONS + 2)
        second = channels * 3 * OCTAVES * (OCTAVES - 1) // 2
        sizes = (colour, first, second, pairs * (2 * OCTAVES + ORIENTATIONS))
        self.num_features = sum(sizes)
        shares = [math.sqrt(self.num_features / (sum(s > 0 for s in sizes) * s)) if s else 1.0 for s in sizes]
        self._weights = {name: share for share, names in zip(shares, GROUPS, strict=True) for name in names}

    def forward(self, images: Float[Tensor, "n channels h w"]) -> Float[Tensor, "n features"]:
        seen = self._seen(images)
        if not len(seen):
            return seen.new_zeros(0, self.num_features)
        return torch.cat([self._vector(part) for part in seen.split(AT_ONCE)])

    def maps(self, images: Float[Tensor, "n channels h w"]) -> list[Float[Tensor, "n k rows columns"]]:
        """Local colour, then local amplitudes of every octave, each with one constant channel.

        What divides a map by its norm over channels compares contrasts, and the constant keeps it from comparing noise
        where there is nothing to see.
        """
        seen = self._seen(images)
        spectrum = spectra(seen - seen.mean((2, 3), keepdim=True))
        maps = [F.pad(F.avg_pool2d(seen, 4), (0, 0, 0, 0, 0, 1), value=0.5)]
        for octave in range(OCTAVES):
            waves = [amplitudes(filtered(spectrum, octave, orientation)) for orientation in range(ORIENTATIONS)]
            maps.append(F.pad(torch.cat(waves, 1), (0, 0, 0, 0, 0, 1), value=LEAST_CONTRAST))
        return maps

    def _seen(self, images: Float[Tensor, "n channels h w"]) -> Float[Tensor, "n channels h w"]:
        """Channels whose differences look about equally large, around zero."""
        if images.shape[1] != self.channels or min(images.shape[2:]) < SMALLEST:
            raise ArgumentError(
                f"texture features of {self.channels} channels cannot see images of shape {tuple(images.shape)}: they "
                f"need (n, {self.channels}, h, w) and at least {SMALLEST} pixels each way."
            )
        if self.channels < 3:
            return images - 0.5
        lightness, chroma = srgb_to_oklab(images[:, :3]).split([1, 2], 1)
        return torch.cat([lightness - 0.6, CHROMA * chroma, images[:, 3:] - 0.5], 1)

    def _vector(self, seen: Float[Tensor, "n channels h w"]) -> Float[Tensor, "n features"]:
        features = []
        for name, value in statistics(seen).items():
            mean, deviation = (seen.new_tensor(v) for v in TYPICAL[name])
            if mean.ndim:  # per octave: value is (n, channels, octaves, orientations)
                mean, deviation = mean[:, None], deviation.expand(OCTAVES)[:, None]
            features.append(((value - mean) * (self._weights[name] / deviation)).flatten(1))
        return torch.cat(features, 1)


def statistics(x: Float[Tensor, "n channels h w"]) -> dict[str, Float[Tensor, "n *rest"]]:
    """All features by name, as they are measured: (n, channels or pairs, …)."""
    channels, h, w = x.shape[1:]
    a_b = torch.triu_indices(channels, channels, 1, device=x.device)
    mean = x.mean((2, 3))
    x = x - mean[:, :, None, None]
    flat = x.flatten(2)
    covariance = flat @ flat.mT / (h * w)
    variance = _diagonal(covariance)
    spectrum = spectra(x)

    waves_shared, amplitudes_shared, averages, modulated = [], [], [], []
    for octave in range(OCTAVES):
        turned = []
        for orientation in range(ORIENTATIONS):
            waves = filtered(spectrum, octave, orientation)
            amplitude = amplitudes(waves)
            flat, flat_amplitude = waves.flatten(2), amplitude.flatten(2)
            waves_shared.append(flat @ flat.mH)
            amplitudes_shared.append(flat_amplitude @ flat_amplitude.mT / flat_amplitude.shape[2])
            averages.append(flat_amplitude.mean(2))
            if octave + 1 < OCTAVES:
                energy = _diagonal(waves_shared[-1]).real
                shares = modulations(amplitude, (h, w), octave) / (energy + UNSEEN)[:, :, None, None]
                turned.append(shares.roll(-orientation, 3))  # first what runs along the wave, then askew, across, askew
        if turned:
            along, askew, across, also_askew = torch.stack(turned).mean(0).unbind(3)
            modulated.append(torch.stack([along, (askew + also_askew) / 2, across], 3))

    shared, together, average = (
        torch.stack(band, 1).unflatten(1, (OCTAVES, ORIENTATIONS))
        for band in (waves_shared, amplitudes_shared, averages)
    )
    energy = _diagonal(shared).real
    evenness = ((average + 1e-3) / (energy.clamp_min(0).sqrt() + 1e-3)).log().movedim(3, 1)
    coherence = _correlation(shared, energy, a_b, UNSEEN / 8)
    together = together - average[..., :, None] * average[..., None, :]
    company = _correlation(together, _diagonal(together), a_b, UNSEEN / 8)
    energy = energy.movedim(3, 1)
    coarser = coarse_energy(spectrum)
    finer = variance - 2 * energy.sum((2, 3)) - coarser  # filters see half of the plane, the other half is the same
    return {
        "mean": mean,
        "contrast": _log_root(variance, UNSEEN),
        "skewness": ((x * x * x).mean((2, 3)) / (variance + UNSEEN).pow(1.5)).asinh(),
        "correlation": _correlation(covariance, variance, a_b, UNSEEN),
        "energy": _log_root(energy, UNSEEN / 8),
        "finer": _log_root(finer, UNSEEN / 8),
        "coarser": _log_root(coarser, UNSEEN / 8),
        "evenness": evenness,
        "modulation": _log_root(torch.cat(modulated, 2), 0.003),
        "coherence": coherence.real.mean(2),
        "phase": coherence.imag.mean(1),
        "company": company.mean(2),
    }


def _log_root(power: Tensor, floor: float) -> Tensor:
    return 0.5 * (power.clamp_min(0) + floor).log()


def _diagonal(matrix: Tensor) -> Tensor:
    return matrix.diagonal(dim1=-2, dim2=-1)


def _correlation(
    shared: Float[Tensor, "*n c c"] | Complex[Tensor, "*n c c"], own: Float[Tensor, "*n c"], a_b: Tensor, floor: float
) -> Float[Tensor, "*n pairs"] | Complex[Tensor, "*n pairs"]:
    """Of every two channels; 0 where neither has more variance than the floor."""
    a, b = a_b
    return shared[..., a, b] / ((own[..., a] * own[..., b]).clamp_min(1e-20).sqrt() + floor)
