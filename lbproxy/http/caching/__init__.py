"""Caching of answers by the standards (RFC 9111, 5861, 8246, 9211, 9213), as a cache that is shared. Pure."""
