"""Certificates by ACME (RFC 8555): a process of its own that orders, proves and renews, and writes what it got for the master."""
