"""Frames between master and children, and what a child inherits."""
