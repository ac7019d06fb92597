"""TOML to typed values: model (values and defaults), units, load (every complaint at once), emit; plan: old beside new."""
