# Types for the compiled form of request.py. See lbproxy/compiled.py.

cdef class LastFields:
    cdef public bytes block
    cdef public bytes head
    cdef public tuple meaning
    cdef public bytes minor
    cdef public object request

    cpdef keep(self, bytes head, request)


cpdef parse_request(bytes head, long max_line, long max_fields, LastFields last=*)
