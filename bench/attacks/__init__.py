"""What one client costs all others: floods of every shape of message that a client, or a backend, can send as fast as it likes.

    shapes     the messages, pure
    h2_shapes  those of HTTP/2: frames, a batch at a time; pure
    flood      the attacker: a process that sends one of them over some connections until its time is over
    h2_sender  one connection of the attacker that speaks HTTP/2
    drips      a hostile backend: answers that never end, in chunks of one byte
    rules      what proxies are told to refuse, where a shape is about that
    newcomers  somebody who comes, asks for something small, and goes
    table      the figures as text, pure
    command    `python -m bench attacks`

Two figures count. What newcomers wait on the same worker meanwhile: the attacker gets his turns, never all of them. And what a
kilobyte of the attack costs the proxy in CPU: where that is far above what the peers pay, a small line takes a machine away.
`bench slow` is about the opposite, crowds that send next to nothing.
"""
