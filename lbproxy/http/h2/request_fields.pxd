# Types for the compiled form of request_fields.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.h1.request cimport LastFields, parse_request
from lbproxy.http.message cimport RequestHead


cdef tuple _OF_A_CONNECTION, _PSEUDO
cdef bytes _CHUNKED, _WEBSOCKET


cdef class RequestFields:
    cdef bytes _authority
    cdef bint _backslash
    cdef bint _ended
    cdef tuple _fields
    cdef RequestHead _head
    cdef bint _known
    cdef LastFields _last
    cdef public bytes _lines
    cdef long _max_fields
    cdef Py_ssize_t _max_head
    cdef long _max_line
    cdef tuple _regular

    cpdef forget(self)
    @cython.locals(
        head=RequestHead, pseudo=dict, count=Py_ssize_t, method=bytes, target=bytes, authority=bytes, protocol=bytes, regular=tuple,
        lines=bytes
    )
    cpdef RequestHead read(self, tuple fields, bint ended, key=*)
    @cython.locals(head=bytes)
    cdef RequestHead _parse(self, bytes method, bytes target, bytes lines)
    @cython.locals(lines=bytes)
    cdef _lay_out(self, bytes authority, tuple regular)
    cdef RequestHead _tunnel(self, bytes target, bytes authority, tuple regular, bytes key)


@cython.locals(found=dict, count=Py_ssize_t, name=bytes)
cdef tuple _pseudo(tuple fields)
@cython.locals(method=bytes, authority=bytes)
cdef tuple _request_line(dict pseudo)
@cython.locals(known_lines=dict, wants_trailers=Py_ssize_t, laid=list, cookies=list, name=bytes, value=bytes, begin=bytes, block=bytes, known=bint)
cdef tuple _lay_out(tuple fields)
cdef bytes _begin_of_line(bytes name)
