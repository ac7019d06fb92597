"""A request's journey over Streams: client, router, exchange, relay, reuse, retry, replies."""
