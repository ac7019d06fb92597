# Types for the compiled form of tap.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.forwarding cimport Forwarder
from lbproxy.http.message cimport RequestHead, ResponseHead
from lbproxy.http.shown_heads cimport ShownHeads
from lbproxy.proxy.downstream cimport Downstream
from lbproxy.proxy.pass_through cimport PassThrough
from lbproxy.proxy.sink cimport Sink
from lbproxy.proxy.steps.step cimport Course, Step


cdef class Tap(Step):
    cdef ShownHeads _bare
    cdef object _count
    cdef long _due
    cdef ShownHeads _framed
    cdef bint _inspects
    cdef long _percent
    cdef object _take
    cdef readonly long long most

    cpdef begin(self, journey)
    @cython.locals(downstream=Downstream, forwarder=Forwarder, here=str, client=str, server=str, outcome=str)
    cpdef tell(self, journey, RequestHead head, bytes request, bytes answer)
    @cython.locals(heads=ShownHeads, length=bytes)
    cpdef bytes message(self, bytes line, bytes lines, bytes more, list body, bint framed)


cdef class Taped(Course):
    cdef Taping _answered
    cdef list _body
    cdef RequestHead _head
    cdef object _journey
    cdef long long _room
    cdef Tap _tap

    cpdef Sink around(self, ResponseHead answer, Sink sink)
    @cython.locals(tap=Tap, head=RequestHead, sent=RequestHead, answered=Taping, line=bytes, request=bytes, answer=bytes, bare=bint)
    cpdef end(self)


cdef class Taping(PassThrough):
    cdef long long _room
    cdef readonly bint bare
    cdef readonly list body
    cdef readonly bytes head
    cdef readonly bytes lines

    cdef _keep(self, bytes data)
    cdef _open(self, ResponseHead answer, bytes out, bytes lines)
