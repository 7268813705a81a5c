"""Stages -> manifests: Ray, environments, checkpoints, the run directory."""
