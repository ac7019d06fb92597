"""The succession of one master by another program in the same process (SIGUSR2): tried, told, executed."""
