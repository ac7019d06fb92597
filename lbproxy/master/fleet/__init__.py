"""Which children should live, and what to do about those that do not: the decisions of the master. Pure: events in, actions out."""
