"""Decisions about who may come in, and how often: addresses and networks, rates and counts per client over all processes. Pure."""
