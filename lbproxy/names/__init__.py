"""DNS names to addresses: hosts files, answers, when to ask again (pure), and the asking itself, which waits (lookup.py)."""
