"""The decisions of the master: which children should live, and what to do about those that do not. Pure: events in, actions out."""
