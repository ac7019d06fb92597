"""Rules that hold between the keys of a table, or between tables: the part of reading that no declaration says."""
