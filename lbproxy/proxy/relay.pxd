# Types for the compiled form of relay.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.message cimport ResponseHead
from lbproxy.http.trailers cimport passing, size
from lbproxy.proxy.sink cimport Sink
from lbproxy.proxy.upstream cimport Upstream


@cython.locals(limit=Py_ssize_t, piece=bytes, first=list, trailers=tuple)
cpdef relay(Upstream upstream, Sink sink, ResponseHead answer, bytes out, bytes lines, double silence, tuple ruled)
