# Types for the compiled form of heads.py. See lbproxy/compiled.py.

cdef class ResponseHeads:
    cdef public object _edits
    cdef public long _keep
    cdef public dict _known
    cdef public long _max_fields

    cpdef tuple read(self, bytes raw, bytes method)
