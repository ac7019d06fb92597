"""Pieces of the work, measured by themselves, and the instructions of a whole request."""
