"""The checks, by what they look at; each is one declaration in a table."""
