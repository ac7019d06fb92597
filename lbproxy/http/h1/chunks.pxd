# Types for the compiled form of chunks.py. See lbproxy/compiled.py.

cimport cython


cdef class ChunkDecoder:
    cdef public long _left
    cdef public long _length
    cdef public long _most
    cdef public bytes _moves
    cdef public int _state
    cdef public bint done
    cdef public bytes rest
    cdef public bytes section

    @cython.locals(
        kinds=bytes, values=bytes, moves=bytes, begin=int, digits=int, size_lf=int, in_data=int, data_end=int, trailer=int, over=int,
        short=Py_ssize_t, size=Py_ssize_t, state=int, before=int, left=long, length=long, at=Py_ssize_t, end=Py_ssize_t,
        small=bytearray, pieces=list, most=long, largest=long, line=long, trailers=long, byte=cython.uchar, behind=Py_ssize_t
    )
    cpdef bytes feed(self, bytes data)
