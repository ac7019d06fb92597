# Types for the compiled form of tls_stream.py. See lbproxy/compiled.py.

from lbproxy.net.tcp_stream cimport TcpStream


cdef class TlsStream(TcpStream):
    cdef public object _decrypt
    cdef public object _encrypt
    cdef public bint _ended
    cdef public object _incoming
    cdef public object _outgoing
    cdef public bint _read_at_once
    cdef public object _tls

    cdef bytes _next_flight(self)
    cpdef bytes _decrypt_all(self)
    cpdef _flush(self)
