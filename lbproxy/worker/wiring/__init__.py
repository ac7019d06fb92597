"""What the configuration says, made into the objects that a worker runs on."""
