"""neurotex: a generative texture network as a differentiable node of a scene graph.

The README's code is the tour; the public names are listed in `__init__.pyi`, and each is imported when it is first
used: the command line answers before torch is loaded, and can be stopped while it loads.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"
