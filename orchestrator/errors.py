"""What can go wrong between a recipe and its report."""

from reward_plugins.errors import CamReasonerError


class RecipeError(CamReasonerError, ValueError):
    """The recipe can't be run as written; the message lists every mistake at once."""


class ResourceError(CamReasonerError, RuntimeError):
    """The machine or cluster lacks what the recipe asks for."""


class UnreadyError(CamReasonerError, RuntimeError):
    """A check before the start found what must be mended first."""


class StageError(CamReasonerError, RuntimeError):
    """A stage's process ended without its result; the message names its log."""


class NodeLostError(StageError):
    """Ray lost a node that a stage ran on, or the process that followed the stage there."""


class RunLockedError(CamReasonerError, RuntimeError):
    """Another process is working on the same stage directory."""


class EnvironmentBuildError(CamReasonerError, RuntimeError):
    """A stage's Python environment could not be built from its lock file."""


class UnknownRunError(CamReasonerError, FileNotFoundError):
    """No run of that name; the message lists those there are."""


class ReproError(CamReasonerError, RuntimeError):
    """A run can't be rebuilt here and now; the message says how to come where it can."""


class PublishError(CamReasonerError, OSError):
    """A result that can't be published, or did not arrive."""
