"""The dangers of a configuration that is accepted: what is found, how bad it is, and what mends it. Pure."""
