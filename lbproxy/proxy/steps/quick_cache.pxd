# Types for the compiled form of quick_cache.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.cache.watch cimport HeldEntry, CacheWatch
from lbproxy.http.forwarding cimport Forwarder
from lbproxy.http.message cimport RequestHead
from lbproxy.proxy.caching.at_hand cimport AtHand
from lbproxy.proxy.steps.step cimport Step
from lbproxy.proxy.stepwise cimport Stepwise


cdef int _BYTES, _HIT
cdef str _NOTE


cdef class QuickCache(Step):
    cdef dict _answers
    cdef object _budget
    cdef long long[::1] _cells
    cdef object _matters
    cdef public bytes secret
    cdef public CacheWatch watch

    @cython.locals(exchange=Stepwise, head=RequestHead, known=tuple, found=AtHand, now=double)
    cpdef begin(self, journey)
    @cython.locals(watch=CacheWatch, fork=HeldEntry)
    cdef bint _good(self, AtHand found, double now) except -1
    @cython.locals(watch=CacheWatch, fork=HeldEntry)
    cdef _used(self, AtHand found)
    @cython.locals(watch=CacheWatch)
    cdef AtHand _as_asked(self, AtHand found, RequestHead head, special)
    cpdef fetched(self, file, size)
    cpdef bint unchanged(self, RequestHead head, bytes raw) except -1
    cpdef consider(self, journey)
    @cython.locals(exchange=Stepwise, forwarder=Forwarder)
    cpdef tuple recognise(self, journey, RequestHead head)
    cpdef sent(self, journey, RequestHead head)
    cpdef bint plain(self, RequestHead head) except -1
    @cython.locals(exchange=Stepwise, found=AtHand)
    cdef AtHand _variant(self, journey, RequestHead head, AtHand fork, special)
