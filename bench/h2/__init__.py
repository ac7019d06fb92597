"""HTTP/2 from the client's side, for all benches.

    wire      frames and lists of fields as bytes, well-formed or not; pure
    session   a connection that speaks it well, by another maker's engine than lbproxy's (the h2 package)
"""
