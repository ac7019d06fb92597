"""The master's dealings with the operating system: sockets, files, privileges, signals, memory."""
