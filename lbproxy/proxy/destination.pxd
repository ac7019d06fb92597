# Types for the compiled form of destination.py. See lbproxy/compiled.py.

from lbproxy.proxy.rewriter cimport Rewriter


cdef class Destination:
    cdef public str announces
    cdef public bint answers
    cdef public double body_idle
    cdef public long long buffer_file
    cdef public long long buffer_requests
    cdef public long long buffer_responses
    cdef public double connect
    cdef public bytes lines
    cdef public long long max_body
    cdef public object pool
    cdef public double request
    cdef public double response_head
    cdef public Rewriter rewriter
    cdef public object split
    cdef public tuple steps
    cdef public double tunnel
    cdef public double write_stall
