# Types for the compiled form of trace_context.py. See lbproxy/compiled.py.

from lbproxy.http.message cimport RequestHead


cdef class Ids:
    cdef public Py_ssize_t _at
    cdef public object _draw
    cdef public bytes _drawn

    cpdef str new(self, Py_ssize_t size)


cpdef str request_id(RequestHead head, bint believed, Ids ids)
