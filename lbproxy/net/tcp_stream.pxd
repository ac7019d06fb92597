# Types for the compiled form of tcp_stream.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.net.arrivals cimport Arrivals
from lbproxy.net.wire cimport monotonic, receive, reset, send, unsent
from lbproxy.net.work_budget cimport WorkBudget
from lbproxy.streams cimport Stream


cdef Py_ssize_t _FAIR
cdef Py_ssize_t _MUCH


cdef class TcpStream(Stream):
    cdef public Arrivals _arrivals
    cdef public WorkBudget _budget
    cdef public bint _bulk
    cdef public bint _costly
    cdef public object _deadlines
    cdef public bytes _early
    cdef public bint _ended
    cdef public int _fd
    cdef public object _hub
    cdef public bint _paused
    cdef public bint _put_off
    cdef public long _queued
    cdef public object _reader
    cdef public bint _reset
    cdef public object _sock
    cdef public bint _told
    cdef public long _unwaited
    cdef public object _watcher
    cdef public object _write_watcher
    cdef public object _writer
    cdef public bint closed
    cdef public double write_deadline

    cpdef serve(self)
    cdef _tell_owner(self)
    cdef _ask_for_a_turn(self)
    cpdef go_on(self)
    cdef _measure(self, reader)
    cpdef give_way(self)
    cpdef bint has_turn(self, waiting) except -1
    cpdef _pause(self)
    cpdef _resume(self)
    cpdef _wait_input(self)
    @cython.locals(least=Py_ssize_t)
    cpdef bytes read(self, Py_ssize_t limit)
    cpdef bint ready(self) except -1
    cpdef bytes _read_raw(self, long limit)
    cdef _await_input(self)
    cdef _note_read(self, Py_ssize_t got, Py_ssize_t limit)
    @cython.locals(sent=Py_ssize_t)
    cpdef write(self, data)
    cpdef write_both(self, bytes head, bytes data)
    cpdef await_room(self)
    cpdef bint read_early(self) except -1
    cpdef bint unseen(self, long long since) except -1
    cpdef end_output(self)
    cpdef close(self)
    cpdef finish(self, bint busy=*)
    cpdef abort(self)
