# Types for the compiled form of fields.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.message cimport RequestHead


cpdef bytes cookie(RequestHead head, bytes name)
@cython.locals(size=Py_ssize_t, length=Py_ssize_t, at=Py_ssize_t, matched=Py_ssize_t)
cdef Py_ssize_t _begin_of(bytes value, bytes wanted)
