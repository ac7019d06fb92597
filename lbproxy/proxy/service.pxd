# Types for the compiled form of service.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.heads cimport ResponseHeads
from lbproxy.observe.access cimport AccessLog
from lbproxy.proxy.retry_budget cimport RetryBudgets
from lbproxy.proxy.upstream_pool cimport UpstreamPool
from lbproxy.streams cimport Strands
from lbproxy.proxy.rewriter cimport Rewriter


cdef bytes _BIT_LENGTHS

@cython.locals(ticks=cython.longlong)
cpdef long latency_bucket(double seconds)


cdef class Counters:
    cdef public long child
    cdef public long long aborts
    cdef public long long bytes_in
    cdef public long long bytes_out
    cdef public object cells
    cdef public object grpc
    cdef public long long[::1] latency
    cdef public long long retries
    cdef public long long[::1] statuses
    cdef public long long unread
    cdef public long long h2_live
    cdef public long long h2_open
    cdef public long long h2_requests

    cpdef count(self, long status, long long bytes_in, long long bytes_out, double seconds)
    cpdef count_alike(self, long status, long number, double seconds)


cdef class Service:
    cdef public AccessLog access
    cdef public object admissions
    cdef public object challenges
    cdef public object clock
    cdef public object config
    cdef public set connections
    cdef public Counters counters
    cdef public bytes date
    cdef public object dialer
    cdef public bint draining
    cdef public long https_port
    cdef public UpstreamPool idle
    cdef public double idle_grace
    cdef public double keepalive
    cdef public object on_buffer_failed
    cdef public object on_fault
    cdef public object on_unread
    cdef public ResponseHeads response_heads
    cdef public RetryBudgets retries
    cdef public Rewriter rewriter
    cdef public object router
    cdef public object scratch
    cdef public Strands strands
