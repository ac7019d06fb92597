# Types for the compiled form of downstream.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.forwarding cimport Forwarder
from lbproxy.http.message cimport RequestHead
from lbproxy.proxy.destination cimport Destination
from lbproxy.proxy.request_body cimport RequestBody
from lbproxy.proxy.service cimport Service
from lbproxy.proxy.sink cimport Sink
from lbproxy.streams cimport Stream


cdef bytes _AFTER
cdef int _ROW, _IMPOSSIBLE, _AWAITED
cdef int _END, _BREAK


cdef class Downstream(Sink):
    cdef public str _about
    cdef public RequestHead _about_head
    cdef public int answer_state
    cdef public bint broken
    cdef public RequestBody body
    cdef public long long bytes_out
    cdef public dict bound
    cdef public Forwarder forwarder
    cdef public object open_tunnel
    cdef public str peer
    cdef public bint pipelined
    cdef public Destination destination
    cdef public RequestHead routed_head
    cdef public long redirect
    cdef public Service service
    cdef public object strand
    cdef public Stream stream
    cdef public bint streaming
    cdef public double tls_seconds

    cpdef serve_for(self, Service service, Stream stream, str peer, Forwarder forwarder, long redirect, double tls_seconds)
    @cython.locals(after=int)
    cpdef answering(self, int event)
    @cython.locals(service=Service, forwarder=Forwarder)
    cpdef RequestHead find_destination(self, RequestHead head)
    cpdef open_body(self, interrupt)
    cpdef own(self, answer, bytes extra)
    cpdef bint opens(self, long status) except -1
    cpdef finished(self)
    cpdef break_off(self)
    cpdef bint lacks_nothing(self) except -1
    cpdef bint break_off_with(self, tuple trailers) except -1
    cpdef say_nothing(self)
    cpdef str about(self, RequestHead head)
    cpdef str protocol(self, RequestHead head)
    cpdef forget(self)
