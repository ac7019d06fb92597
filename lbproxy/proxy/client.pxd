# Types for the compiled form of client.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.h1.request cimport LastFields
from lbproxy.http.message cimport RequestHead
from lbproxy.proxy.exchange cimport Exchange
from lbproxy.proxy.h1_downstream cimport H1Downstream
from lbproxy.proxy.service cimport Service
from lbproxy.streams cimport Stream


cdef bytes _AFTER
cdef int _ROW, _IMPOSSIBLE
cdef int _IDLE, _HEAD, _EXCHANGE, _CLOSED
cdef int _BEGUN, _REQUEST, _ANSWERED, _OVER


cdef class ClientConnection(H1Downstream):
    cdef public long _empty_lines
    cdef public LastFields _fields
    cdef public double _idle_since
    cdef public double _idle_until
    cdef public bytes _rest
    cdef public object count
    cdef public int state

    @cython.locals(after=int)
    cpdef _move(self, int event)

    @cython.locals(
        service=Service, end=Py_ssize_t, begun=double, parsed=double, exchange=Exchange, patience=double, head=bytes, rest=bytes,
        request=RequestHead
    )
    cdef bint _next_request(self) except -1
    @cython.locals(soon=double, stream=Stream)
    cdef bytes _first_bytes(self)
