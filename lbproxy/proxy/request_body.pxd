# Types for the compiled form of request_body.py. See lbproxy/compiled.py.

from lbproxy.http.message cimport ResponseHead
from lbproxy.proxy.destination cimport Destination
from lbproxy.proxy.service cimport Service
from lbproxy.proxy.upstream cimport Upstream
from lbproxy.streams cimport Stream


cdef bytes _AFTER
cdef int _ROW, _IMPOSSIBLE
cdef int _HELD, _PUMPING, _SENT
cdef int _TRY, _GIVEN_ALL, _GIVEN_PART, _PAUSED, _WHOLE, _STOPPED


cdef class BodySource:
    cdef public bint done
    cdef public long long left
    cdef public bytes rest
    cdef public Stream stream
    cdef public tuple trailers

    cpdef bytes take(self, bytes raw)


cdef class RequestBody:
    cdef public double _body_idle
    cdef public long long _came
    cdef public bint _ends
    cdef public object _interrupt
    cdef public list _kept
    cdef public long long _kept_size
    cdef public object _limit
    cdef public Py_ssize_t _next
    cdef public Py_ssize_t _next_spooled
    cdef public double _pause
    cdef public bytes _payload
    cdef public object _pump
    cdef public object _rate
    cdef public bint _repeatable
    cdef public double _response_head
    cdef public tuple _ruled
    cdef public Service _service
    cdef public BodySource _source
    cdef public object _spool
    cdef public bint _taking_in
    cdef public Upstream _upstream
    cdef public double _waited
    cdef public tuple _watches
    cdef public object _waiter
    cdef public bint awaits_client
    cdef public bint chunked
    cdef public bint done
    cdef public bint goes_on
    cdef public bint invited
    cdef public long long received
    cdef public bint replayable
    cdef public int sending
    cdef public tuple trailers

    cpdef allow(self, Destination destination, bint repeatable)
    cpdef be_patient(self, double seconds)
    cpdef begin(self, Upstream upstream, bytes head, bint chunked)
    cpdef pause(self)
    cpdef bint outlives(self, ResponseHead answer, bint invited_only) except -1
    cpdef finish(self)
    cpdef stop(self)
    cpdef _move(self, int event)
    cdef _pump_into(self, Upstream upstream)
    cdef bytes _read(self)
    cdef _take(self, bytes raw)
