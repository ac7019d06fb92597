# Types for session_memory.pyx. See lbproxy/compiled.py.

cdef struct Allocator:  # nghttp2_mem of nghttp2.h
    void *user
    void *(*malloc)(size_t, void *) noexcept
    void (*free)(void *, void *) noexcept
    void *(*calloc)(size_t, size_t, void *) noexcept
    void *(*realloc)(void *, size_t, void *) noexcept

cdef struct Memory:  # of one session
    char *region
    Py_ssize_t used
    char *packed
    bint begins

cdef Allocator begin(Memory *memory) noexcept
cdef void begun(Memory *memory) noexcept
cdef void put_away(Memory *memory) noexcept
cdef void fetch_back(Memory *memory) noexcept
cdef void give_back(Memory *memory) noexcept

cpdef tuple counted()
