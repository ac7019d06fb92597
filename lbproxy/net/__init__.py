"""A worker's only door to TCP and TLS records: streams, listeners, dialling, deadlines."""
