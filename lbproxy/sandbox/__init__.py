"""Walls around the processes that speak with strangers: what they cannot do even when somebody else runs in them."""
