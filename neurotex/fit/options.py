"""What `neurotex fit` is asked for."""

from __future__ import annotations

from dataclasses import dataclass

TEMPERATURE = (0.3, 0.01)


@dataclass(frozen=True)
class Options:
    """What to fit to what. `texture` is "pixels", a bundled generator's name or a checkpoint's path.

    `optimize` ("latents", "weights", "both"), `space` (where latents lie: see `generators.LatentSpace`), `label` (the
    number of a class) are for generators. `through` lists discrete steps ("palette:8") that the texture passes, in
    order; the first half of `steps` then runs without them, the second with them and with `imagined` views of what the
    first has found beside the photographs. `temperature` is that of `Fit`. `size` is the side of a
    pixel texture; `steps` defaults to what the kind of fit needs. `huber`, `ssim`, `prior` are those of `Fit`.

    `views` and `holdout` are sets of photographs (see `Views.load`), of which the latter only measure; `mesh` is a file
    of the shape that they show. `estimator` is that of the steps, `device` where to compute.
    """

    mesh: str
    views: str
    texture: str = "pixels"
    optimize: str = "latents"
    space: str = "w"
    label: int | None = None
    through: tuple[str, ...] = ()
    estimator: str = "straight_through"
    temperature: tuple[float, float] = TEMPERATURE
    imagined: int = 24
    size: int = 512
    steps: int | None = None
    holdout: str | None = None
    seed: int = 0
    device: str = "cpu"
    huber: float | None = None
    ssim: float = 0.0
    prior: float = 0.0
