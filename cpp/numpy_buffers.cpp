// The buffers as NumPy takes them for its arrays: a handler of NEP 49, set for a context.
#include "numpy_buffers.hpp"

#include <nanobind/stl/pair.h>

#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>

#include "buffers.hpp"

namespace nb = nanobind;

namespace unrolled {
namespace {

PyDataMem_Handler handler = {
    "unrolled_buffers",
    1,
    {nullptr, [](void*, size_t bytes) { return take_buffer(bytes); },
     [](void*, size_t count, size_t bytes) { return take_zeros(count, bytes); },
     [](void*, void* data, size_t bytes) { return resize_buffer(data, bytes); },
     [](void*, void* data, size_t) { give_buffer(data); }}};

// Arrays that are made from now on in this context have the handler's memory; gives the one before.
nb::object set_memory(nb::capsule wanted) {
    PyObject* before = PyDataMem_SetHandler(wanted.ptr());
    if (!before) throw nb::python_error();
    return nb::steal(before);
}

}  // namespace

void bind_numpy_buffers(nb::module_& m) {
    if (PyArray_ImportNumPyAPI() < 0) throw nb::python_error();
    m.attr("buffers") = nb::capsule(&handler, "mem_handler");  // the name NumPy asks for
    m.def("set_memory", &set_memory);
    m.def("buffer_bytes", [] {
        const BufferBytes bytes = buffer_bytes();
        return std::pair(bytes.out, bytes.idle);
    });
    m.def("release_buffers", &release_buffers);
}

}  // namespace unrolled
