"""What a reload costs clients that never try again, side by side: nginx, HAProxy and lbproxy under the same load.

A run travels through these files:

    job         how many clients of which kind, and what they ask for
    outcome     what became of their requests; pure
    channel     TLS that hides nothing of how a connection ends
    connection  one connection that never tries anything twice
    clients     the kinds of clients: busy, idle, fresh, downloads, uploads
    h2_...      the same for HTTP/2: several requests at once, and the server may say which of them it has not begun
    load        all of them in a process of its own; scenarios use it too
    subjects    how each proxy gets a changed configuration and is told to reload
    run         one proxy after the other
    report      the table and the JSON
"""
