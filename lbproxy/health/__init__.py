"""Is a backend fit: outcomes of probes, rise and fall, when to probe next. Pure."""
