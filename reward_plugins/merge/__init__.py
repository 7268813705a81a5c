"""Sharded checkpoints of a trainer to one Hugging Face checkpoint, checked against its source."""
