"""Who gets the next request: policies over the shared ledger. Pure."""
