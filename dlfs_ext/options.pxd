# Checking the options of a window may take as long as a small convolution or pooling. So the result
# is cached, but only for options that are exactly ints, strings and tuples of these: True
# and 1.0 equal 1, would find its entry, and must be refused.


cdef inline bint is_plain(object option):
    if type(option) is int or type(option) is str or option is None:
        return True
    if type(option) is not tuple:
        return False
    for part in <tuple>option:
        if not is_plain(part):
            return False
    return True


cdef inline bint is_shape(object shape, Py_ssize_t ndim):
    """shape is a result of dlfs.checks.check_input_shape."""
    cdef double numbers = 1
    if type(shape) is not tuple or len(<tuple>shape) != ndim:
        return False
    for size in <tuple>shape:
        # Compared first: a larger integer cannot be converted.
        if type(size) is not int or size < 0 or size > 1 << 48:
            return False
        numbers *= max(<double>size, 1.0)
    return numbers <= <double>(1 << 48)


cdef inline object cached(dict memory, object function, tuple options, str owner):
    """function(*options, owner), from memory if these options were checked before."""
    cdef bint plain = is_plain(options)
    found = memory.get(options) if plain else None
    if found is None:
        found = function(*options, owner)
        if plain:
            if len(memory) >= 4096:
                memory.clear()
            memory[options] = found
    return found
