# Types for the compiled form of exchange.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.balance.board cimport Lease
from lbproxy.balance.pool cimport Pool
from lbproxy.http.heads cimport KnownHead, ResponseHeads
from lbproxy.http.message cimport RequestHead, ResponseHead
from lbproxy.proxy.place cimport Place
from lbproxy.proxy.requester cimport Client
from lbproxy.proxy.response_head cimport next_head, read_piece
from lbproxy.proxy.reuse cimport Upstream
from lbproxy.proxy.rewriter cimport Rewriter, Rewriting
from lbproxy.proxy.service cimport Service
from lbproxy.streams cimport Stream


cdef class Exchange:
    cdef public double _answered
    cdef public str _backend
    cdef public double _begun
    cdef public bint _binds
    cdef public long long _bytes_in
    cdef public long long _bytes_out
    cdef public Client _client
    cdef public bint _close
    cdef public bytes _first
    cdef public RequestHead _head
    cdef public ResponseHeads _heads
    cdef public object _limit
    cdef public bytes _lines
    cdef public bint _special
    cdef public double _leased
    cdef public bint _over
    cdef public double _parsed
    cdef public bint _passed_on
    cdef public Place _place
    cdef public str _reason
    cdef public Rewriting _rewriting
    cdef public Service _service
    cdef public long _status
    cdef public long _tries
    cdef public object _upload
    cdef public bint broken
    cdef public double ended
    cdef public bint keep
    cdef public bytes rest
    cdef public bint unread

    cpdef run(self)
    @cython.locals(head=RequestHead, place=Place)
    cdef _route(self)
    @cython.locals(lease=Lease)
    cdef _serve(self, Pool pool)
    cdef _attempt(self, Lease lease, Pool pool)
    @cython.locals(service=Service)
    cdef Upstream _kept(self, Lease lease, Pool pool)
    cdef _dial(self, Lease lease, Pool pool)
    @cython.locals(answer=ResponseHead, known=KnownHead, stream=Stream, place=Place)
    cdef _converse(self, Upstream upstream)
    @cython.locals(last=KnownHead, known=KnownHead, data=bytes, stream=Stream)
    cdef tuple _first_head(self, Upstream upstream)
    @cython.locals(body=Py_ssize_t, surplus=bint, now=double)
    cdef _pass_on(self, Upstream upstream, ResponseHead answer, bytes out)
    cdef _log(self)
