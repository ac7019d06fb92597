"""What a crowd of slow clients costs the others: good clients ask at a constant rate while 1,000 send or take next to nothing.

The crowd is slowhttptest's. It needs CPU itself, as do the backends, and on a small machine that alone makes everybody wait. So
each attack is led twice: against the proxy that the good clients ask, and against another one of its kind that nobody else asks.
What the first costs more than the second is the proxy's doing.
"""
