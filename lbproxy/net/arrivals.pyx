"""arrivals.py in C's terms: libev itself is asked whether others are still to be told, and calls us when all have been.

Two thousand instructions of a small request were the way there and back through Python, for what libev offers to whoever embeds it:
`ev_set_invoke_pending_cb` puts a function of ours around the one that calls a turn's watchers. The functions are looked up in the
library that gevent has loaded; where they are not there, the order is the loop's own.
"""

import os
import sys

cdef extern from "dlfcn.h" nogil:
    void *dlopen(const char *, int)
    void *dlsym(void *, const char *)
    int RTLD_NOW, RTLD_NOLOAD

ctypedef void (*invoke_t)(void *) noexcept nogil
ctypedef unsigned int (*count_t)(void *) noexcept nogil
ctypedef void (*set_t)(void *, invoke_t) noexcept nogil

cdef invoke_t _invoke_pending = NULL
cdef count_t _pending_count = NULL
cdef set_t _set_invoke_pending = NULL

# Of the one thread that has streams: its loop's turn.
cdef bint _several = False
cdef Py_ssize_t _count = 0
cdef Arrivals _here = None


NATIVE = True


cdef class Arrivals:
    """See arrivals.py."""

    def __init__(self, loop):
        global _here
        self._all_told = None  # nothing is put on the stack by hand
        self._loop = loop
        self._noted = []
        if _pending_count != NULL:
            _here = self
            _set_invoke_pending(<void *><size_t>loop.ptr, _turn)

    cpdef bint alone(self, stream) except -1:
        """See arrivals.py."""
        global _count
        if not _several:
            return True
        _here._noted.append(stream)
        _count += 1
        return False

    def serve(self):
        """See arrivals.py."""
        if _count:
            _serve()

    def stop(self):
        """See arrivals.py."""


cdef void _turn(void *loop) noexcept nogil:
    """Call the watchers of a turn, and then those that were noted."""
    global _several
    _several = _pending_count(loop) > 1
    _invoke_pending(loop)
    _several = False
    if _count:
        _serve()


cdef void _serve() noexcept with gil:
    global _count
    cdef list noted = _here._noted
    while noted:
        stream = noted.pop()
        try:
            stream.serve()
        except BaseException:  # as the loop does with a watcher's; the others still have their turn
            _here._loop.handle_error(stream, *sys.exc_info())
    _count = 0


def _load():
    """Find the functions. They are not there where gevent goes by another library."""
    global _invoke_pending, _pending_count, _set_invoke_pending
    from gevent.libev import corecext

    cdef void *library = dlopen(os.fsencode(corecext.__file__), RTLD_NOW | RTLD_NOLOAD)
    if library == NULL:
        return
    _invoke_pending = <invoke_t>dlsym(library, b"ev_invoke_pending")
    _set_invoke_pending = <set_t>dlsym(library, b"ev_set_invoke_pending_cb")
    if _invoke_pending != NULL and _set_invoke_pending != NULL:
        _pending_count = <count_t>dlsym(library, b"ev_pending_count")


try:
    _load()
except (ImportError, AttributeError):
    pass
