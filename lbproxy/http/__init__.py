"""HTTP/1 and HTTP/2 as bytes and values: grammar, framing, forwarding. Pure: no socket, no clock."""
