# Types for the compiled form of pass_through.py. See lbproxy/compiled.py.

from lbproxy.proxy.sink cimport Sink


cdef class PassThrough(Sink):
    cdef public Sink _behind
