"""TOML to typed values: model (the values and their defaults), units, load (every complaint at once), emit; and plan: old beside new."""
