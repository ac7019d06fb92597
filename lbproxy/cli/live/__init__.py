"""`lbproxy audit --live`: a look at what runs. Everything is bounded, nothing is changed, and whoever answers may be hostile."""
