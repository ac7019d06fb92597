"""Balancing policies before many backends, simulated: what exact counts buy, and where two random choices are as good.

    world     backends, workers and requests; lbproxy's own pools choose
    table     the figures as text; pure
    plot      the figures as a picture
    command   `python -m bench simulate`
"""
