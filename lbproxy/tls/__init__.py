"""Server and client contexts, SNI, checks of certificate and key files."""
