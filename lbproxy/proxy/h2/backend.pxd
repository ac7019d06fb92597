# Types for the compiled form of backend.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.proxy.h2.h2_upstream cimport H2Upstream
from lbproxy.proxy.h2.shared_connection cimport SharedConnection
from lbproxy.proxy.service cimport Service


cdef class H2Backend:
    cdef object _bounds
    cdef object _cells
    cdef bint _closed
    cdef public list _connections
    cdef long long _expected
    cdef double _http_1_until
    cdef object _on_ended
    cdef long _open
    cdef long long _opening
    cdef Service _service
    cdef object _settings
    cdef bint _tls
    cdef object _waiting
    cdef public object backend
    cdef public bint chose_http_1
    cdef public bint either

    @cython.locals(now=double, connection=SharedConnection)
    cpdef H2Upstream take(self, bint websocket, bint apart)
    cpdef bint wanted_http_1(self) except -1
    @cython.locals(now=double)
    cpdef has_room(self, SharedConnection connection)
    cpdef bint may_rest(self, SharedConnection connection) except -1
