# Types for the compiled form of tls_stream.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.net.tls_engine cimport TlsEngine
from lbproxy.net.tcp_stream cimport TcpStream
from lbproxy.net.wire cimport make_engine, send


cdef class TlsStream(TcpStream):
    cdef public TlsEngine _engine

    cdef bytes _next_flight(self)
    @cython.locals(engine=TlsEngine, barren=long, least=Py_ssize_t, overhead=Py_ssize_t, data=bytes)
    cpdef bytes read(self, Py_ssize_t limit)
    cdef bytes _receive(self, Py_ssize_t limit)
    cdef _push(self, data, bint last)
    cpdef bint unseen(self, long long since) except -1
    cpdef _flush(self)
