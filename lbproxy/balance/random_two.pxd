# Types for the compiled form of random_two.py. See lbproxy/compiled.py.

cimport cython


cdef class RandomTwo:
    cdef public object _chance

    @cython.locals(
        total=cython.longlong, index=Py_ssize_t, weight=cython.longlong, one=Py_ssize_t, two=Py_ssize_t, of_one=cython.longlong,
        of_two=cython.longlong, first=cython.longlong, second=cython.longlong, chance=double
    )
    cpdef long choose(self, usable, loads, weights) except? -9


@cython.locals(last=long, index=long, weight=cython.longlong)
cpdef long draw(double left, among, weights, long but) except? -9
