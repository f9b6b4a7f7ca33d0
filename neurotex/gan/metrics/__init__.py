"""How good a generator is: feature networks, and scores of what it makes.

The names are listed in `__init__.pyi`, and each is imported when it is first used: torchmetrics with the first score.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
