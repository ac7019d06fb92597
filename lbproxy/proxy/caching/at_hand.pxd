# Types for the compiled form of at_hand.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.cache.watch cimport HeldEntry
from lbproxy.http.heads cimport KnownHead, ResponseHeads


cdef class AtHand:
    cdef long long _age
    cdef AtHand _bare
    cdef ResponseHeads _heads
    cdef KnownHead _known
    cdef bytes _method
    cdef AtHand _of
    cdef bytes _out
    cdef long long _ttl
    cdef AtHand _unchanged
    cdef public bint away
    cdef public bytes body
    cdef public double born
    cdef public unsigned long long file
    cdef public HeldEntry fork
    cdef public double fresh_until
    cdef public HeldEntry held
    cdef public Py_ssize_t length
    cdef public bytes mark
    cdef public tuple names
    cdef public double now
    cdef public bytes raw

    @cython.locals(found=AtHand)
    cpdef AtHand carrying(self, bytes body)
    cpdef AtHand bare(self)
    cpdef AtHand unchanged(self)
    @cython.locals(known=KnownHead)
    cpdef KnownHead known(self, ResponseHeads heads)
    @cython.locals(age=cython.longlong, ttl=cython.longlong)
    cpdef bytes out(self, KnownHead known, double now)
    cpdef bytes lines(self, double now)
