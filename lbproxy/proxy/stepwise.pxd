# Types for the compiled form of stepwise.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.heads cimport KnownHead
from lbproxy.http.message cimport ResponseHead
from lbproxy.proxy.caching.at_hand cimport AtHand
from lbproxy.proxy.downstream cimport Downstream
from lbproxy.proxy.steps.step cimport Course, Step
from lbproxy.proxy.tries cimport Tries
from lbproxy.proxy.upstream cimport Upstream


cdef class Stepwise(Tries):
    @cython.locals(courses=list, step=Step)
    cdef _step_by_step(self, tuple steps)
    @cython.locals(known=KnownHead, downstream=Downstream, now=double)
    cdef _give_at_hand(self, AtHand found)
    cpdef bint rewrites(self) except -1
    @cython.locals(answer=ResponseHead, course=Course, downstream=Downstream)
    cdef bint _replaced(self, Upstream upstream, KnownHead known, bint clean) except -1
