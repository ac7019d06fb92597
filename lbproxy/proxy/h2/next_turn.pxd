# Types for the compiled form of next_turn.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.h2.engine cimport H2Engine
from lbproxy.proxy.h2.h2_downstream cimport Bearer, H2Downstream
from lbproxy.proxy.h2.stream cimport H2Stream
from lbproxy.proxy.h2.unbegun cimport Unbegun
from lbproxy.streams cimport Strands, Stream


cdef list _NONE


cdef class NextTurn:
    cdef Bearer _bearer
    cdef list _lost
    cdef Py_ssize_t _next
    cdef bint _planned
    cdef bint _put_off
    cdef Strands _strands
    cdef Stream _stream
    cdef Unbegun _unbegun
    cdef list _waiting
    cdef list _wakes
    cdef public bint held
    cdef public bint over

    cpdef add(self, H2Downstream request)
    cpdef wake(self, H2Stream stream)
    cpdef lose(self, H2Downstream request, error)
    cpdef never_began(self, error, tuple fields, double came)
    cpdef came(self, H2Engine engine)
    cpdef was_asked(self, H2Engine engine)
    cpdef plan(self)
    @cython.locals(lost=list, wakes=list, request=H2Downstream, stream=H2Stream, unbegun=Unbegun)
    cpdef carry_out(self)
    @cython.locals(behind=Py_ssize_t, request=H2Downstream)
    cpdef go_on(self)
    cpdef end(self)
