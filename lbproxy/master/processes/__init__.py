"""Processes of the master's: forked, executed anew without its memory, heard and reaped."""
