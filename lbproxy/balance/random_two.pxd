# Types for the compiled form of random_two.py. See lbproxy/compiled.py.

cimport cython


@cython.locals(last=long, index=long)
cpdef long draw(double left, among, weights, long but)
