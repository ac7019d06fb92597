"""The way from a listening socket to a client connection: who may come in, how many, and what is set up for each."""
