"""ICAP (RFC 3507): what is said to servers that look at messages, and what they answer. Pure."""
