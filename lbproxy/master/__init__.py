"""The process that owns sockets and children; decisions in fleet, deeds around it."""
