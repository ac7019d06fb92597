"""Resources that are opened, read and resolved before a fork: the master's for its life, and each generation's."""
