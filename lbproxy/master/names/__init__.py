"""Names of backends: first looked up, remembered over generations, and followed without a reload."""
