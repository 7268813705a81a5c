"""Sweeps of a recipe: what an arm is, and how arms run, once for what they share."""
