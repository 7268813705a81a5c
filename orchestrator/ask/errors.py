"""What a user can get wrong when asking about a clip."""

from reward_plugins.errors import CamReasonerError


class AskError(CamReasonerError, ValueError):
    """A clip, a question or a checkpoint that can't be used as given."""


class PolicyError(CamReasonerError, RuntimeError):
    """The model's process could not load it, or ended."""
