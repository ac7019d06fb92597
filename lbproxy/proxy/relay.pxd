# Types for the compiled form of relay.py. See lbproxy/compiled.py.

from lbproxy.streams cimport Stream


cdef class Transfer:
    cdef object _clock
    cdef public bytes _first
    cdef double _idle
    cdef bytes _moves
    cdef Stream _sink
    cdef Stream _source
    cdef long _stalls
    cdef public long long written

    cdef bytes _take_first(self)
    cdef bytes _read(self)
    cdef _write(self, data)
