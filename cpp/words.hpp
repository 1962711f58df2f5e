// What a minibatch of captions says, looked through before anything is multiplied.
#pragma once

#include <nanobind/nanobind.h>

namespace unrolled {

void bind_words(nanobind::module_& m);

}  // namespace unrolled
