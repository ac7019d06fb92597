# Types for the compiled form of heads.py. See lbproxy/compiled.py.

cdef class ResponseHeads:
    cdef public dict _known
    cdef public long _max_fields

    cpdef tuple read(self, bytes raw, bytes method)
