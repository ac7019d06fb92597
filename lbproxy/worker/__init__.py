"""The process that serves clients."""
