"""A backend's fitness: outcomes of probes, rise and fall, outliers, when to probe next. Pure."""
