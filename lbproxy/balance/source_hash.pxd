# Types for the compiled form of source_hash.py. See lbproxy/compiled.py.

cimport cython


@cython.locals(
    index=Py_ssize_t, total=cython.longlong, weight=cython.longlong, load=cython.longlong, own=cython.longlong, most=long, per=long
)
cpdef long within_bound(ranking, list usable, loads, weights) except? -9
