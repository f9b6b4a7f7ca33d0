"""What can go wrong, in one small hierarchy.

Every message is one sentence that says what is wrong, where (a file, or a node's path in the scene) and what to do.
"""


class NeurotexError(Exception):
    """Base of every error that neurotex raises on purpose. The command line prints it and exits with code 2."""


class FileError(NeurotexError):
    """A file is missing, cut off, or does not say what it should."""


class SceneError(NeurotexError):
    """A node of the scene cannot be used as it is."""


class ArgumentError(NeurotexError, ValueError):
    """A value given by the caller is outside what the function accepts."""


class MissingError(NeurotexError, ModuleNotFoundError):
    """A renderer or framework that was asked for is not installed."""


class TrainingError(NeurotexError):
    """A training run cannot go on; its last checkpoint is whole."""


class OutOfMemoryError(NeurotexError, MemoryError):
    """The work needs more memory than there is; the message says what to turn down."""
