"""Files that a generation was made of, while it serves: who looks at them, who reads what changed, and who waits for neither."""
