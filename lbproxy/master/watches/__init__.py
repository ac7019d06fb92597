"""Watches over what changes while a generation serves: each notices, judges and tells workers; one file for each."""
