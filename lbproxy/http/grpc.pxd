# Types for the compiled form of grpc.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.message cimport RequestHead, ResponseHead


@cython.locals(found=tuple, lowered=bytes)
cpdef tuple call_in(RequestHead head)
cpdef bint answers(ResponseHead answer) except -1
cpdef long code_in(ResponseHead answer) except -1
@cython.locals(found=tuple, lowered=bytes)
cdef tuple _said_in(ResponseHead answer)
cpdef long code_behind(tuple trailers) except -1
