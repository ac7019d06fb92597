# Types for the compiled form of response_fields.py. See lbproxy/compiled.py.

cimport cython


cdef object _DROPPED


cdef class ResponseFields:
    cdef public object _budget
    cdef dict _known

    @cython.locals(fields=tuple)
    cpdef tuple of(self, bytes head)


cpdef tuple taken_apart(bytes head)
@cython.locals(line=bytes, name=bytes, value=bytes, fields=list)
cpdef list regular(lines)
