#include <dataflow/api/job_library.hpp>
#include <dataflow/util/file_system.hpp>
#include <dataflow/util/platform.hpp>
#include <dataflow/util/suggest.hpp>

#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>

namespace dataflow {

namespace {

constexpr char elf_magic[] = {0x7f, 'E', 'L', 'F'};
constexpr char rebuild[] = "build the job again, with this version's headers and compiler (dataflow_add_job)";

/// Of the library that this code is in.
const void* own_header() {
  static const char here = 0;
  Dl_info info{};
  if (::dladdr(&here, &info) == 0 || info.dli_fbase == nullptr)
    throw error{errc::internal, "nothing is known of the program's own libraries"};
  return info.dli_fbase;
}

/// What dlopen would say in its own words is said in ours: missing, a directory, not readable, no library at all.
void check_file(const std::string& path) {
  char head[sizeof(Elf64_Ehdr)] = {};
  const auto file = system_platform().files->open_read(path);
  if (file->read_at(head, sizeof head, 0) != sizeof head || std::memcmp(head, elf_magic, sizeof elf_magic) != 0) {
    throw error{errc::bad_job_library, path + " is no job library: it is no shared library at all",
                "name the lib<job>.so that dataflow_add_job builds"};
  }
  // dlopen says of a library for another processor that there is no such file.
  Elf64_Ehdr its, ours;
  std::memcpy(&its, head, sizeof its);
  std::memcpy(&ours, own_header(), sizeof ours);
  if (its.e_machine == ours.e_machine && its.e_ident[EI_CLASS] == ours.e_ident[EI_CLASS] &&
      its.e_ident[EI_DATA] == ours.e_ident[EI_DATA])
    return;
  throw error{errc::incompatible_library,
              path + " was built for another processor (ELF machine " + std::to_string(its.e_machine) + ", class " +
                  std::to_string(its.e_ident[EI_CLASS]) + ") than this program (machine " +
                  std::to_string(ours.e_machine) + ", class " + std::to_string(ours.e_ident[EI_CLASS]) + ")",
              "build the job on a machine like those of the cluster"};
}

} // namespace

void check_compatible(const job_library_descriptor& d, const std::string& path) {
  const auto refuse = [&](const std::string& what) {
    throw error{errc::incompatible_library, path + " " + what, rebuild};
  };
  if (std::memcmp(d.magic, "DATAFLOW", sizeof d.magic) != 0)
    throw error{errc::bad_job_library, path + " is no job library: its descriptor is damaged", rebuild};
  if (d.abi != abi_version) {
    refuse("was built for ABI version " + std::to_string(d.abi) + ", this program has " + std::to_string(abi_version));
  }
  if (d.size != sizeof(job_library_descriptor)) refuse("describes itself in another form than this program reads");
  if (std::strcmp(d.version, library_version) != 0)
    refuse("was built for dataflow " + std::string{d.version} + ", this program has " + library_version);
  if (std::strcmp(d.compiler, compiler_stamp) != 0)
    refuse("was built by " + std::string{d.compiler} + ", this program by " + compiler_stamp);
  if (d.layout != detail::shared_layout())
    refuse("was built with other headers than this program, though their version is the same");
}

std::shared_ptr<const job_library> job_library::load(const std::string& path) {
  check_file(path);
  // A name without a slash would be looked for in the system's library path.
  const auto name = path.find('/') == std::string::npos ? "./" + path : path;
  void* const handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char* const why = ::dlerror();
    throw error{errc::bad_job_library, path + " cannot be loaded: " + (why ? why : "no reason given"), rebuild};
  }
  void* const symbol = ::dlsym(handle, job_library_symbol);
  if (!symbol) {
    throw error{errc::bad_job_library, path + " has no job inside",
                "write DATAFLOW_JOB(name) { ... } in one of its sources and include <dataflow/dataflow.hpp>"};
  }
  const auto* descriptor = reinterpret_cast<job_library_function>(symbol)();
  check_compatible(*descriptor, path);
  return std::shared_ptr<const job_library>{new job_library{path, descriptor}};
}

std::shared_ptr<const job_library> job_library::of_program(const job_library_descriptor* self) {
  check_compatible(*self, "this program");
  return std::shared_ptr<const job_library>{new job_library{{}, self}};
}

std::shared_ptr<const job_library>
job_library::of_function(std::string name, std::function<void(environment&, const parameters&)> build) {
  auto library = std::shared_ptr<job_library>{new job_library};
  library->jobs_.push_back({std::move(name), {}});
  library->functions_.push_back(std::move(build));
  return library;
}

job_library::job_library(std::string path, const job_library_descriptor* descriptor) : path_(std::move(path)) {
  std::vector<const job_entry*> entries;
  for (const auto* e = descriptor->jobs; e; e = e->next)
    entries.push_back(e);
  std::sort(entries.begin(), entries.end(),
            [](const job_entry* a, const job_entry* b) { return std::strcmp(a->name, b->name) < 0; });
  for (const auto* e : entries) {
    if (has(e->name)) {
      throw error{errc::bad_job_library,
                  (path_.empty() ? "this program" : path_) + " has two jobs named " + e->name + ", in " +
                      jobs_.back().file + " and " + e->file,
                  "give one another name"};
    }
    jobs_.push_back({e->name, e->file});
    functions_.push_back(e->build);
  }
  if (jobs_.empty() && !path_.empty()) {
    throw error{errc::bad_job_library, path_ + " has no job inside",
                "write DATAFLOW_JOB(name) { ... } in one of its sources"};
  }
}

bool job_library::has(std::string_view name) const noexcept {
  return std::any_of(jobs_.begin(), jobs_.end(), [&](const job_info& j) { return j.name == name; });
}

const job_info& job_library::find(std::string_view name) const {
  std::vector<std::string> names;
  std::string list;
  for (const auto& j : jobs_) {
    if (j.name == name || (name.empty() && jobs_.size() == 1)) return j;
    names.push_back(j.name);
    (list += list.empty() ? "" : ", ") += j.name;
  }
  const auto where = path_.empty() ? std::string{"this program"} : path_;
  if (name.empty()) throw error{errc::job_not_found, where + " has several jobs", "name one of " + list};
  throw error{errc::job_not_found, where + " has no job named " + std::string{name},
              did_you_mean(name, names, "it has " + list)};
}

std::vector<std::string> job_library::build(std::string_view name, environment& env, const parameters& args,
                                            const std::vector<std::string>& also_known) const {
  const auto& job = find(name);
  const auto context = "job " + job.name;
  try {
    functions_[static_cast<std::size_t>(&job - jobs_.data())](env, args);
    return args.check_unused(also_known);
  } catch (const error& e) {
    throw e.within(context);
  } catch (...) {
    throw current_error(errc::bad_job_library).within(context + " failed while it built its graph");
  }
}

} // namespace dataflow
