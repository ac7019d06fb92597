"""What a backend that fails costs the clients, side by side: nginx, HAProxy and lbproxy under the same load, fault by fault.

A run travels through these files:

    faults   the faults: how each begins and ends, and whom it befalls
    names    a name server, for the fault that is a changing answer
    crew     the three backends: two nginx and an application (app) that can be put in a mood
    proxies  how each proxy is told to check, to time out and to try again
    run      for each fault and proxy: load on, fault on, fault off, load off
    trace    the proxies' access logs as one kind of record; pure
    effect   when traffic left the backend and came back, and how even the others stayed; pure
    report   the table and the JSON

The load is that of bench.reload: clients that never try anything twice.
"""
