# Types for the compiled form of tries.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.balance.lease cimport Lease
from lbproxy.balance.pool cimport Pool
from lbproxy.http.endless cimport endless
from lbproxy.http.heads cimport KnownHead, ResponseHeads
from lbproxy.http.message cimport RequestHead, ResponseHead
from lbproxy.proxy.caching.at_hand cimport AtHand
from lbproxy.proxy.connect cimport dial, idle
from lbproxy.proxy.destination cimport Destination
from lbproxy.proxy.downstream cimport Downstream
from lbproxy.proxy.grpc_call cimport GrpcCall
from lbproxy.proxy.relay cimport relay
from lbproxy.proxy.request_body cimport RequestBody
from lbproxy.proxy.rewriter cimport Rewriter, Rewriting
from lbproxy.proxy.service cimport Service
from lbproxy.proxy.sink cimport Sink
from lbproxy.proxy.steps.step cimport Course
from lbproxy.proxy.upstream cimport Upstream
from lbproxy.streams cimport Stream


cdef class Tries:
    cdef double _answered
    cdef str _backend
    cdef bint _binds
    cdef long _budgeted
    cdef object _buffered
    cdef list _courses
    cdef Destination _destination
    cdef GrpcCall _grpc
    cdef ResponseHeads _heads
    cdef double _leased
    cdef object _limit
    cdef bytes _lines
    cdef double _parsed
    cdef str _reason
    cdef Rewriting _rewriting
    cdef Service _service
    cdef Py_ssize_t _size
    cdef long _status
    cdef long _tries
    cdef public AtHand at_hand
    cdef public Downstream downstream
    cdef public RequestHead head
    cdef public str noted
    cdef public bytes said
    cdef public object stand_in
    cdef public Upstream source

    @cython.locals(lease=Lease, downstream=Downstream)
    cdef _serve(self, Pool pool)
    @cython.locals(downstream=Downstream, upstream=Upstream, body=RequestBody, repeatable=bint)
    cdef _attempt(self, Lease lease, Pool pool)
    @cython.locals(service=Service)
    cdef _measure(self, Lease lease, Pool pool)
    @cython.locals(
        answer=ResponseHead, body=RequestBody, clean=bint, destination=Destination, downstream=Downstream, head_bytes=bytes,
        known=KnownHead, stream=Stream, out=bytes
    )
    cdef _converse(self, Upstream upstream, Lease lease)
    @cython.locals(downstream=Downstream, body=RequestBody, now=double)
    cdef _pass_on(self, Upstream upstream, ResponseHead answer, bytes out, bint clean)
    @cython.locals(sink=Sink, silence=double, downstream=Downstream, course=Course)
    cdef _relay(self, Upstream upstream, ResponseHead answer, bytes out, bytes lines)
    cdef bytes _added(self)
    cdef bint _replaced(self, Upstream upstream, KnownHead known, bint clean) except -1
    cdef _make_room(self)
    cdef _unlimited(self)
