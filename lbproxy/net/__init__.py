"""A worker's only way to TCP and TLS records: streams, listeners, dialling, deadlines."""
