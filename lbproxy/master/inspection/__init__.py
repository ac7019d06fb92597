"""Inspection of requests for attacks: processes that load rules and look, and the master's end of them."""
