# Types for the compiled form of client_side.py. See lbproxy/compiled.py.

from lbproxy.http.message cimport RequestHead
from lbproxy.proxy.requester cimport Client
from lbproxy.proxy.rewriter cimport Rewriting
from lbproxy.proxy.service cimport Service


cdef class ClientSide:
    cdef public double _answered
    cdef public str _backend
    cdef public double _begun
    cdef public long long _bytes_in
    cdef public long long _bytes_out
    cdef public Client _client
    cdef public bint _close
    cdef public RequestHead _head
    cdef public double _leased
    cdef public object _limit
    cdef public bytes _lines
    cdef public double _parsed
    cdef public bint _passed_on
    cdef public str _reason
    cdef public Rewriting _rewriting
    cdef public Service _service
    cdef public long _status
    cdef public long _tries
    cdef public object _upload
    cdef public bint broken
    cdef public double ended
    cdef public bint keep
    cdef public bytes rest
    cdef public bint unread

    cdef _unlimited(self)
    cdef _write_whole(self, bytes out)
    cdef _settle(self)
    cdef _log(self)
