# Types for the compiled form of requester.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.forwarding cimport Forwarder
from lbproxy.http.message cimport RequestHead
from lbproxy.proxy.destination cimport Destination
from lbproxy.proxy.service cimport Service
from lbproxy.streams cimport Stream


cdef class Client:
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

    @cython.locals(service=Service, forwarder=Forwarder)
    cpdef RequestHead find_destination(self, RequestHead head)
    cpdef str about(self, RequestHead head)
