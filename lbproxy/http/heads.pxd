# Types for the compiled form of heads.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.message cimport ResponseHead


cdef class KnownHead:
    cdef bytes _date
    cdef bytes _dated
    cdef readonly ResponseHead head
    cdef readonly bytes out
    cdef readonly bytes raw
    cdef readonly ResponseHeads reader

    cpdef bytes dated(self, bytes date)


cdef class ResponseHeads:
    cdef public object _budget
    cdef public object _edits
    cdef public dict _known
    cdef ResponseHeads _over_http_2
    cdef public long max_fields
    cdef readonly object tolerance
    cdef readonly bytes via

    @cython.locals(known=KnownHead)
    cpdef KnownHead read(self, bytes raw, bytes method)
    cpdef KnownHead again(self, bytes raw, bytes method)
    @cython.locals(twin=ResponseHeads)
    cpdef ResponseHeads over_http_2(self)


cdef class HeadsLedBack(ResponseHeads):
    cdef ResponseHeads _heads
    cdef object _prefix
    cdef public object request

    cpdef KnownHead read(self, bytes raw, bytes method)
    cpdef KnownHead again(self, bytes raw, bytes method)
    cpdef ResponseHeads over_http_2(self)
