"""Attacks what a finished run gives away, and tells how well that works."""
