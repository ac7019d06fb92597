"""lbproxy beside its peers, doing the same work on the same machine in the same minutes.

A run travels through these files:

    command      what is asked for on the command line, and what is done with the results
    machine      what we run on, which cores the proxy and the load get
    certificate  one ECDSA P-256 certificate for everybody
    backends     nginx as the backends, on loopback; echo sends WebSocket messages back behind it
    site         what a proxy is told to serve; proxies/ has one configuration and one command for each of them
    peers        which proxies there are, started one by one; older revisions of lbproxy among them
    process      starts programs, each in a session of its own, and ends them by id
    duties       refuses to compare proxies that do not do the same work
    cases        what is asked of them, and how they are set up for it
    rounds       who is measured when
    load         one measurement: a window of CPU and requests inside a run of a load generator (wrk, handshakes, websocket)
    latency      the same at a constant rate, by openloop, whose program is openloop.c
    idle         the other kind of case: memory per idle connection
    procfs, cpu  what the kernel booked on every process of a proxy
    figures      medians, spreads, ratios; no socket, no clock
    report       the table and the JSON; latency_table, plot: the same for waits, and as a picture

    scale        several workers: cost, balance (held counts connections), the accept balance (greedy runs without it);
                 scale_command, scale_table
"""
