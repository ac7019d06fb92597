# Types for the compiled form of rewriter.py. See lbproxy/compiled.py.

from lbproxy.http.forwarding cimport Forwarder
from lbproxy.http.heads cimport HeadsLedBack, ResponseHeads
from lbproxy.http.trace_context cimport Ids
from lbproxy.http.message cimport RequestHead


cdef class Rewriter:
    cdef public Ids _ids
    cdef public bytes _own
    cdef public bytes _secure_own
    cdef public object edits
    cdef public ResponseHeads heads
    cdef public object prefix
    cdef public str request_id
    cdef public tuple ruled_requests
    cdef public tuple ruled_responses
    cdef public ResponseHeads secure_heads
    cdef public bint sends_id
    cdef public bint sends_trace
    cdef public bint shown
    cdef public str trace
    cdef public object varying

    cpdef Rewriting begin(self, Forwarder forwarder, RequestHead head)


cdef class Rewriting:
    cdef public Forwarder _forwarder
    cdef public RequestHead _head
    cdef public bytes _id_line
    cdef public HeadsLedBack _led
    cdef public str _request_id
    cdef public Rewriter _rewriter
    cdef public object _trace
    cdef public object findings
    cdef public ResponseHeads heads
    cdef public bint speaks

    cpdef bytes request(self, bytes sent)
    cpdef bytes lines(self, str backend)
    cpdef bytes own_lines(self)
    cpdef str logged(self)
    cdef _facts(self, str backend)
