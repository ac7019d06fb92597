"""A request's journey over Streams: client, router, exchange, relay, reuse, retry, replies. HTTP/2's connections stand in h2/."""
