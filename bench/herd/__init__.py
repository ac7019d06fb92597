"""What a herd on a cold key costs the backend, and each of those who wait."""
