# Types for the compiled form of beginnings.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.proxy.h2.h2_downstream cimport H2Downstream
from lbproxy.streams cimport Stream


cdef class H2Beginnings:
    cdef object _bearer
    cdef bint _put_off
    cdef object _strands
    cdef Stream _stream
    cdef object _waiting
    cdef public bint over

    cpdef add(self, H2Downstream request)
    cpdef forget(self)
    cpdef begin(self)
    @cython.locals(behind=Py_ssize_t, request=H2Downstream)
    cpdef go_on(self)
