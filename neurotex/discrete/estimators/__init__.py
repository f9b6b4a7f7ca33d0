"""How a gradient crosses a step that has none: one estimator, one file.

An estimator is called as `estimator(step, x)` and sees of a step what `neurotex.discrete.step` says. A new one is a
class with that call and `check(step)`, which raises ArgumentError for steps that it makes no sense for, and a row in
`by_name`. One that
smooths has a `temperature`, a plain attribute that a fit may lower as it goes.

Two texels of four colours, so that the expected loss has an exact gradient; 100,000 draws each; bias and standard
deviation of one draw in units of that gradient's length. Losses: the exponential, and a quadratic whose exact gradient
is small.

|                                        | exponential   | quadratic     |
|----------------------------------------|---------------|---------------|
| straight_through, clipped              | 2.79 ±  0     | 8.9  ±  0     |
| rotation                               | 4.14 ±  0     | 12.9 ±  0     |
| surrogate                              | 0.50 ±  0     | 3.1  ±  0     |
| gumbel, relaxation 1                   | 0.48 ±  1.7   | 2.3  ±  7.8   |
| gumbel, relaxation 0.1                 | 0.16 ±  7.1   | 0.4  ± 31     |
| gumbel, relaxation 0.1, not hard       | 0.04 ±  4.0   | 0.2  ± 14     |
| reinmax                                | 0.16 ±  2.7   | 0    ± 12     |
| score_function, 4 draws                | 0    ±  1.2   | 0    ±  1.6   |
| the same without leave-one-out         | 0    ±  4.7   | 0    ±  6.0   |
| perturbation of 1 pair, scale 0.3      | 1.99 ±  4.8   | 9.9  ± 21     |

The first two rows and the last mean another gradient: that of the exact step at x, not of codes drawn around it; and
the surrogate's is that of the mean code's loss. A loss that adds up many texels makes the score function and, without a
reach, perturbation noisier: the loss that weighs a texel's draw is that of all others, too.
"""

from .by_name import ESTIMATORS, find_estimator, make_estimator
from .gumbel import Gumbel
from .perturbation import Perturbation
from .protocol import Estimator
from .reinmax import ReinMax
from .rotation import Rotation
from .score_function import ScoreFunction, expected_loss, log_probabilities, score_function_loss
from .straight_through import ClippedStraightThrough, StraightThrough
from .surrogate import Surrogate
from .surrogate_gradient import SurrogateGradient

__all__ = [
    "ESTIMATORS",
    "ClippedStraightThrough",
    "Estimator",
    "Gumbel",
    "Perturbation",
    "ReinMax",
    "Rotation",
    "ScoreFunction",
    "StraightThrough",
    "Surrogate",
    "SurrogateGradient",
    "expected_loss",
    "find_estimator",
    "log_probabilities",
    "make_estimator",
    "score_function_loss",
]
