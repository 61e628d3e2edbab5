/// Loading job libraries, and listing the jobs in them.
///
/// A library stays loaded until the process ends: its code, its types and what its functions made may be in use by
/// tasks, batches and errors long after the last handle is gone. Its symbols are visible to nobody else (RTLD_LOCAL).
/// Loading runs the library's static initialisers: it is running code of whoever built it.
/// Threading: a handle is immutable and may be shared; build() is one call at a time per job.
/// Errors: file_not_found, permission_denied, not_a_file; bad_job_library: no library, or no job inside;
/// incompatible_library: another ABI, compiler or library version, naming both.
#pragma once

#include <dataflow/api/job_descriptor.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

struct job_info {
  std::string name;
  std::string file; ///< the source that defines it
};

class job_library {
public:
  static std::shared_ptr<const job_library> load(const std::string& path);
  /// The jobs compiled into a program: pass dataflow_job_library() of api/job.hpp.
  static std::shared_ptr<const job_library> of_program(const job_library_descriptor* self);
  /// One job of that name, which this function builds: for simulations and tests.
  static std::shared_ptr<const job_library> of_function(std::string name,
                                                        std::function<void(environment&, const parameters&)> build);

  const std::string& path() const noexcept { return path_; } ///< empty: the program itself
  /// Sorted by name.
  const std::vector<job_info>& jobs() const noexcept { return jobs_; }
  bool has(std::string_view name) const noexcept;
  /// The job of that name; with an empty name the only one. Errors: job_not_found, with what there is.
  const job_info& find(std::string_view name) const;

  /// Calls the job's function, then checks that the job asked for all parameters that were given.
  /// Errors: what the function throws, with the job's name; bad_job_library for exceptions that are no dataflow::error.
  /// Returns warnings about parameters, a line each. `also_known`: as in parameters::check_unused.
  std::vector<std::string> build(std::string_view name, environment& env, const parameters& args,
                                 const std::vector<std::string>& also_known = {}) const;

private:
  job_library() = default;
  job_library(std::string path, const job_library_descriptor* descriptor);

  std::string path_;
  std::vector<job_info> jobs_;
  std::vector<std::function<void(environment&, const parameters&)>> functions_; // as jobs_
};

/// Throws incompatible_library when a library with this descriptor cannot run here. `path` names it in the text.
void check_compatible(const job_library_descriptor& descriptor, const std::string& path);

} // namespace dataflow
