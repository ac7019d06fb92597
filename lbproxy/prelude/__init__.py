"""The first bytes of a connection, in front of TLS or HTTP: PROXY headers both ways, hellos that are not answered here. Pure."""
