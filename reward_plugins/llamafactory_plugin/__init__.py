"""Glue for LLaMA-Factory 0.9.5: its command line, with our order of time."""
