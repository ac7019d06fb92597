"""The choice of who gets the next request: policies over the shared ledger. Pure."""
