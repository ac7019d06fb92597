"""HTTP/1 as bytes and values: grammar, framing, forwarding. Pure: no socket, no clock."""
