"""HTTP/2 (RFC 9113): frames by libnghttp2, what messages may say, what floods cost. Pure: bytes in, bytes out."""
