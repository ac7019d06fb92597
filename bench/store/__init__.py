"""What very many certificates cost: a start, a handshake, memory."""
