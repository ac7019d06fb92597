"""The objects that a worker runs on, made from the configuration."""
