"""Glue for verl 0.9.1: everything enters through its registries and configuration."""
