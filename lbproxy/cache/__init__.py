"""A store of answers: memory that all workers share, and files for large bodies. What may be stored is http/caching's to say."""
