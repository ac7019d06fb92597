# Types for wire.pyx. See lbproxy/compiled.py.

from lbproxy.net.tls_engine cimport TlsEngine

cpdef bytes receive(int fd, Py_ssize_t limit)
cpdef Py_ssize_t send(int fd, data) except -1
cpdef Py_ssize_t send_both(int fd, bytes head, bytes data) except -1
cpdef bytes read_now(int fd, Py_ssize_t size, long long at)
cpdef Py_ssize_t unsent(int fd) except -1
cpdef reset(int fd)
cpdef double monotonic()
cpdef tuple accept(listening)
cpdef TlsEngine make_engine(context, server_name)
