"""The cache as requests meet it: what is found and kept, answers on their way into it, and those who wait for them."""
