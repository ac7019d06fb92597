# Types for the compiled form of stepwise.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.heads cimport KnownHead
from lbproxy.http.message cimport ResponseHead
from lbproxy.proxy.downstream cimport Downstream
from lbproxy.proxy.tries cimport Tries
from lbproxy.proxy.upstream cimport Upstream


cdef class Stepwise(Tries):
    @cython.locals(answer=ResponseHead, downstream=Downstream)
    cdef bint _replaced(self, Upstream upstream, KnownHead known, bint clean) except -1
