"""A local page on which people accept or reject trajectories, and what their verdicts are worth."""
