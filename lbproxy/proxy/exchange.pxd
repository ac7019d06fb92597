# Types for the compiled form of exchange.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.balance.lease cimport Lease
from lbproxy.balance.pool cimport Pool
from lbproxy.http.heads cimport KnownHead, ResponseHeads
from lbproxy.http.message cimport RequestHead, ResponseHead
from lbproxy.proxy.destination cimport Destination
from lbproxy.proxy.downstream cimport Downstream
from lbproxy.proxy.relay cimport relay
from lbproxy.proxy.request_body cimport RequestBody
from lbproxy.proxy.rewriter cimport Rewriter, Rewriting
from lbproxy.proxy.service cimport Service
from lbproxy.proxy.sink cimport Sink
from lbproxy.proxy.upstream cimport Upstream
from lbproxy.streams cimport Stream


cdef class Exchange:
    cdef double _answered
    cdef str _backend
    cdef double _begun
    cdef bint _binds
    cdef object _buffered
    cdef Destination _destination
    cdef Downstream _downstream
    cdef RequestHead _head
    cdef ResponseHeads _heads
    cdef double _leased
    cdef object _limit
    cdef bytes _lines
    cdef bint _over
    cdef double _parsed
    cdef str _reason
    cdef Rewriting _rewriting
    cdef Service _service
    cdef Py_ssize_t _size
    cdef long _status
    cdef long _tries
    cdef public double ended

    cpdef begin(self, Downstream downstream, RequestHead head, Py_ssize_t size, double begun, double parsed)
    @cython.locals(downstream=Downstream)
    cpdef run(self)
    @cython.locals(downstream=Downstream, head=RequestHead, destination=Destination, rewriter=Rewriter, body=RequestBody)
    cdef _route(self)
    @cython.locals(lease=Lease, downstream=Downstream)
    cdef _serve(self, Pool pool)
    @cython.locals(downstream=Downstream, upstream=Upstream)
    cdef _attempt(self, Lease lease, Pool pool)
    @cython.locals(service=Service)
    cdef Upstream _kept(self, Lease lease, Pool pool)
    @cython.locals(service=Service)
    cdef Upstream _dial(self, Lease lease, Pool pool)
    @cython.locals(
        answer=ResponseHead, body=RequestBody, clean=bint, destination=Destination, downstream=Downstream, head_bytes=bytes,
        known=KnownHead, stream=Stream, out=bytes
    )
    cdef _converse(self, Upstream upstream, Lease lease)
    @cython.locals(downstream=Downstream, body=RequestBody, now=double)
    cdef _pass_on(self, Upstream upstream, ResponseHead answer, bytes out, bint clean)
    @cython.locals(sink=Sink, silence=double)
    cdef _relay(self, Upstream upstream, ResponseHead answer, bytes out)
    cdef _unlimited(self)
    @cython.locals(service=Service, downstream=Downstream, ended=double, waited=double, bytes_in=cython.longlong)
    cdef _log(self)
