"""The process that probes backends and serves metrics, once per machine."""
