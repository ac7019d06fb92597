# Types for the compiled form of exchange.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.balance.lease cimport Lease
from lbproxy.balance.pool cimport Pool
from lbproxy.http.heads cimport KnownHead, ResponseHeads
from lbproxy.http.message cimport RequestHead, ResponseHead
from lbproxy.proxy.client_side cimport ClientSide
from lbproxy.proxy.destination cimport Destination
from lbproxy.proxy.requester cimport Client
from lbproxy.proxy.response_head cimport next_head, read_piece
from lbproxy.proxy.reuse cimport Upstream
from lbproxy.proxy.rewriter cimport Rewriter, Rewriting
from lbproxy.proxy.service cimport Service
from lbproxy.streams cimport Stream


cdef class Exchange(ClientSide):
    cdef public bint _binds
    cdef public object _buffered
    cdef public bytes _first
    cdef public ResponseHeads _heads
    cdef public bint _special
    cdef public bint _over
    cdef public Destination _destination

    cpdef begin(self, Client client, RequestHead head, Py_ssize_t size, bytes rest, double begun, double parsed)
    cpdef run(self)
    @cython.locals(head=RequestHead, destination=Destination)
    cdef _route(self)
    @cython.locals(lease=Lease)
    cdef _serve(self, Pool pool)
    cdef _attempt(self, Lease lease, Pool pool)
    @cython.locals(service=Service)
    cdef Upstream _kept(self, Lease lease, Pool pool)
    cdef _dial(self, Lease lease, Pool pool)
    @cython.locals(answer=ResponseHead, known=KnownHead, stream=Stream, destination=Destination)
    cdef _converse(self, Upstream upstream)
    @cython.locals(last=KnownHead, known=KnownHead, data=bytes, stream=Stream)
    cdef tuple _first_head(self, Upstream upstream)
    @cython.locals(body=Py_ssize_t, surplus=bint, now=double)
    cdef _pass_on(self, Upstream upstream, ResponseHead answer, bytes out)
