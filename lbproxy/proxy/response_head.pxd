# Types for the compiled form of response_head.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.heads cimport ResponseHeads
from lbproxy.streams cimport Stream


cpdef bytes read_piece(Stream stream, bytes data)
@cython.locals(searched=Py_ssize_t, end=Py_ssize_t)
cpdef tuple read_head(Stream stream, bytes data)
@cython.locals(end=Py_ssize_t)
cpdef tuple next_head(Stream stream, bytes data, ResponseHeads heads, bytes method)
cpdef limit_size(Py_ssize_t size)
