// A library that describes itself as built for something else than this runtime; which, the build says.
#include <dataflow/api/job_descriptor.hpp>

extern "C" __attribute__((visibility("default"))) const dataflow::job_library_descriptor* dataflow_job_library() {
  static dataflow::job_library_descriptor self{{'D', 'A', 'T', 'A', 'F', 'L', 'O', 'W'},
                                               sizeof(dataflow::job_library_descriptor),
                                               dataflow::abi_version,
                                               dataflow::compiler_stamp,
                                               dataflow::library_version,
                                               dataflow::detail::shared_layout(),
                                               nullptr};
#if defined(WRONG_abi)
  self.abi = 999;
#elif defined(WRONG_compiler)
  self.compiler = "gcc 4, libstdc++ strings 0";
#elif defined(WRONG_version)
  self.version = "99.1.0";
#elif defined(WRONG_layout)
  self.layout ^= 1;
#elif defined(WRONG_magic)
  self.magic[0] = 'X';
#elif defined(WRONG_size)
  self.size += 8;
#endif
  return &self;
}
