# Types for the compiled form of beginnings.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.proxy.h2.h2_downstream cimport H2Downstream
from lbproxy.streams cimport Strands, Stream


cdef list _NONE


cdef class H2Beginnings:
    cdef Py_ssize_t _next
    cdef bint _put_off
    cdef Strands _strands
    cdef Stream _stream
    cdef list _waiting
    cdef public bint over

    cpdef add(self, H2Downstream request)
    cpdef begin(self)
    @cython.locals(behind=Py_ssize_t, request=H2Downstream)
    cpdef go_on(self)
