#include <dataflow/util/memory.hpp>

#include <cstdlib>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace dataflow {

void give_back_free_memory() noexcept {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

} // namespace dataflow
