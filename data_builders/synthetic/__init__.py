"""Rendered clips with known camera motion, and CameraBench's questions about them."""
