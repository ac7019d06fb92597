"""lbproxy beside its peers, doing the same work on the same machine in the same minutes.

A run travels through these files:

    machine      what we run on, which cores the proxy and the load get
    certificate  one ECDSA P-256 certificate for everybody
    backends     nginx as two backends, plain HTTP on loopback
    peers        one configuration and one command per proxy: nginx, haproxy, lbproxy, an older lbproxy
    process      starts them, each in a session of its own, and ends them by id
    duties       refuses to compare proxies that do not do the same work
    cases        what is asked of them
    rounds       who is measured when
    load         one measurement: a window of CPU and requests inside a run of a load generator (wrk, handshakes)
    idle         the other kind of case: memory per idle connection
    procfs, cpu  what the kernel booked on every process of a proxy
    figures      medians, spreads, ratios; no socket, no clock
    report       the table and the JSON
"""
