# Types for the compiled form of forwarding.py. See lbproxy/compiled.py.

from lbproxy.http.message cimport RequestHead


cdef class Forwarder:
    cdef public bytes _after_host
    cdef public bytes _before_host
    cdef public bytes _block
    cdef public RequestHead _head
    cdef public tuple _networks
    cdef public bytes _out
    cdef public str _peer
    cdef public str _proto
    cdef public bytes _rest
    cdef public bint _secure
    cdef public object _facts
    cdef public RequestHead _facts_head
    cdef public object agreement
    cdef public object announced
    cdef public object edited
    cdef public object here
    cdef public long port
    cdef public object tls
    cdef public bint trusted

    cpdef bytes request(self, RequestHead head)
    cpdef str client(self, RequestHead head)
