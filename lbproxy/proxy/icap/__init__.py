"""Asking ICAP servers about messages (RFC 3507): connections, what is said on them, and one message's inspection."""
