# Types for the compiled form of request.py. See lbproxy/compiled.py.

from lbproxy.http.h1.deciding_fields cimport gather, keeps_alive, options_of
from lbproxy.http.message cimport RequestHead


cdef class LastFields:
    cdef public bytes block
    cdef public bytes head
    cdef public RequestHead meaning
    cdef public bytes minor
    cdef public RequestHead request

    cpdef keep(self, bytes head, RequestHead request)


cpdef RequestHead parse_request(bytes head, long max_line, long max_fields, LastFields last=*, bint backslash=*)
