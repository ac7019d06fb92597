# Types for the compiled form of tunnel.py. See lbproxy/compiled.py.

from lbproxy.proxy.service cimport Service
from lbproxy.streams cimport Stream


cdef class _Direction:
    cdef public bint busy
    cdef public long long carried
    cdef public str name
    cdef public bint over
    cdef public bint resting
    cdef public Stream sink
    cdef public str sink_name
    cdef public Stream source
    cdef public bint whole


cdef class Tunnel:
    cdef public double _active
    cdef public Stream _backend
    cdef public bint _broken
    cdef public Stream _client
    cdef public object _clock
    cdef public _Direction _down
    cdef public double _idle
    cdef public object _main
    cdef public double _patience
    cdef public Service _service
    cdef public _Direction _up
    cdef public object _up_strand
    cdef public object _wake
    cdef public str reason
    cdef public bint resting

    cdef _carry(self, _Direction way, bytes data)
    cdef bytes _read(self, _Direction way, long limit)
