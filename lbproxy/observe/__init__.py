"""Everything that people get to see: log events, access lines, metrics, process facts."""
