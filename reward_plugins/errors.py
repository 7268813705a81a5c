"""The project's one root exception."""


class CamReasonerError(Exception):
    """Root of every error this project raises on purpose.

    Subclasses also derive from the standard type they specialise, and take their message as the
    only positional argument, so that they survive pickling (Ray sends them between processes).
    A message says what is wrong, where, what was found, and how to mend it.
    """
