"""Cases of caching, by section of the standard; see read.py."""
