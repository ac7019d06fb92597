"""Taps that are read as it happens: the process that sends their conversations on, and the master's end of it."""
