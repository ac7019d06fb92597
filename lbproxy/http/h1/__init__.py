"""HTTP/1.0 and 1.1: heads and chunks as bytes (RFC 9112)."""
