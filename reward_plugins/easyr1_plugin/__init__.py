"""Glue for stock EasyR1 (v0.3.2, main b44b311): a launcher and the hooks its workers install."""
