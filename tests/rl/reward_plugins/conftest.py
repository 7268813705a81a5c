"""Hypothesis without deadlines: machines differ in speed, properties do not."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
