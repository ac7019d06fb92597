# Types for the compiled form of backend_answer.py. See lbproxy/compiled.py.

cimport cython


cdef class BackendAnswers:
    cdef public object _budget
    cdef dict _known

    cpdef bytes of(self, tuple fields, long how)


cdef class LastAnswer:
    cdef BackendAnswers _answers
    cdef tuple _fields
    cdef bytes _head
    cdef long _how

    cpdef forget(self)
    @cython.locals(head=bytes)
    cpdef bytes of(self, tuple fields, long how)
