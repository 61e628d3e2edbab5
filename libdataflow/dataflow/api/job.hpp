/// DATAFLOW_JOB(name) { ... }: a job that `dataflow run` finds in a library, or among a program's own.
///
///   DATAFLOW_JOB(word_count) {                       // (environment& env, const parameters& args)
///     env.text_file(args.require("input")).flat_map(split).key_by(&word::text).sum(&word::count).print();
///   }
///
/// The function builds the graph and returns; the runtime executes it. It may run several times, on several machines,
/// and must build the same graph each time: its inputs are the parameters, args.file(path), env.submit_time() and
/// env.random_seed(). It throws to refuse: missing_parameter, invalid_option, anything.
/// Several jobs in one library or program are fine; their names must differ.
/// Threading: one call at a time per job.
#pragma once

#include <dataflow/api/job_descriptor.hpp>

namespace dataflow::detail {

/// The jobs of the library (or program) that this is compiled into, and of no other: hidden.
__attribute__((visibility("hidden"))) inline job_entry*& jobs_of_this_library() noexcept {
  static job_entry* first = nullptr;
  return first;
}

struct __attribute__((visibility("hidden"))) job_registration {
  explicit job_registration(job_entry& entry) noexcept {
    entry.next = jobs_of_this_library();
    jobs_of_this_library() = &entry;
  }
};

__attribute__((visibility("hidden"))) inline const job_library_descriptor* describe_this_library() noexcept {
  static job_library_descriptor self{{'D', 'A', 'T', 'A', 'F', 'L', 'O', 'W'},
                                     sizeof(job_library_descriptor),
                                     abi_version,
                                     compiler_stamp,
                                     library_version,
                                     shared_layout(),
                                     nullptr};
  self.jobs = jobs_of_this_library();
  return &self;
}

} // namespace dataflow::detail

extern "C" {
/// What the runtime calls first after loading.
__attribute__((used, visibility("default"))) inline const dataflow::job_library_descriptor*
dataflow_job_library() noexcept {
  return dataflow::detail::describe_this_library();
}
}

#define DATAFLOW_JOB(name)                                                                                             \
  static void dataflow_job_##name(::dataflow::environment&, const ::dataflow::parameters&);                            \
  static ::dataflow::job_entry dataflow_entry_##name{#name, &dataflow_job_##name, __FILE__, nullptr};                  \
  static const ::dataflow::detail::job_registration dataflow_registration_##name{dataflow_entry_##name};               \
  static void dataflow_job_##name([[maybe_unused]] ::dataflow::environment& env,                                       \
                                  [[maybe_unused]] const ::dataflow::parameters& args)
