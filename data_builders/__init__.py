"""Samples, clips and frames: everything the trainers read."""
