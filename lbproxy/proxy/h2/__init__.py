"""HTTP/2 on both sides: connections of clients and of backends, their streams, and what an exchange sees of them."""
