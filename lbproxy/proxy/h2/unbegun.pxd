# Types for the compiled form of unbegun.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.proxy.h2.h2_downstream cimport Bearer


cdef class _Alike:
    cdef readonly double came
    cdef public long count
    cdef readonly tuple fields
    cdef readonly long status


cdef class Unbegun:
    cdef Bearer _bearer
    cdef dict _found

    @cython.locals(alike=_Alike)
    cpdef note(self, error, tuple fields, double came)
    cpdef tell(self)
