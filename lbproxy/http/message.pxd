# Types for the compiled form of message.py. See lbproxy/compiled.py.


cdef class RequestHead:
    cdef public bint binds
    cdef readonly bytes authority
    cdef readonly bytes block
    cdef readonly long long body
    cdef public tuple call
    cdef readonly bint expect_continue
    cdef readonly bytes host
    cdef readonly bint keep_alive
    cdef readonly bytes lowered
    cdef readonly bytes method
    cdef readonly long minor
    cdef readonly tuple nominated
    cdef readonly bytes path
    cdef readonly bytes raw
    cdef readonly list specials
    cdef public tuple stored_as
    cdef readonly bytes target
    cdef public bint underscores
    cdef readonly bytes upgrade

    cpdef RequestHead elsewhere(self, bytes method, bytes target, bytes path, bytes raw)
    cpdef RequestHead with_underscores(self)


cdef class ResponseHead:
    cdef public bint binds
    cdef readonly bytes block
    cdef readonly long long body
    cdef public tuple call
    cdef public int endless
    cdef readonly bint keep_alive
    cdef readonly bytes lowered
    cdef readonly long minor
    cdef readonly tuple nominated
    cdef readonly bint noteworthy
    cdef readonly bint plain_keep_alive
    cdef readonly bytes reason
    cdef readonly list specials
    cdef readonly long status
    cdef readonly bint undated
    cdef readonly bytes upgrade

    cpdef ResponseHead edited(self, bytes block, tuple nominated, bint undated)
    cdef ResponseHead _with(self, long status, bytes block, bytes lowered, tuple nominated, bint undated)
