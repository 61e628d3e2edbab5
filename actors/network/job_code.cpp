#include <dataflow/actors/jobmanager/job_plan.hpp>
#include <dataflow/actors/network/job_code.hpp>
#include <dataflow/api/environment.hpp>
#include <dataflow/graph/fingerprint.hpp>
#include <dataflow/record/hash.hpp>

#include <mutex>

namespace dataflow::actors {

namespace {

/// A job's function builds; the cluster runs.
class no_executor final : public executor {
public:
  std::shared_ptr<job_client> submit(std::shared_ptr<const stream_graph>) override {
    throw error{errc::invalid_graph, "the job's function runs a job of its own while it builds its graph",
                "leave out execute(): a job library only builds its graph"};
  }
};

constexpr std::uint64_t largest_travelling_part = 5 << 20; // Flink's, of the same storage

/// A part of a checkpoint that travels with its acknowledgement.
class travelling_part final : public object_writer {
public:
  void append(std::string_view bytes) override {
    if (bytes_.size() + bytes.size() > largest_travelling_part)
      throw error{errc::checkpoint_failed,
                  "a task has more than " + std::to_string(largest_travelling_part) +
                      " bytes of state, and the job's checkpoints are kept in the job manager's memory",
                  "set execution.checkpointing.dir to a directory that all processes reach"};
    bytes_ += bytes;
  }
  std::uint64_t size() const noexcept override { return bytes_.size(); }
  object_handle finish() override { return inlined_object(std::move(bytes_)); }

private:
  std::string bytes_;
};

/// Of a job whose checkpoints are kept in the job manager's memory. Savepoints lie on a disk all the same.
class travelling_objects final : public checkpoint_objects {
public:
  travelling_objects(file_system& outside, const std::string& job, std::uint64_t seed)
      : savepoints_(outside, in_memory_root, job, seed) {}
  std::unique_ptr<object_writer> create(const std::string& directory, object_scope scope,
                                        std::string_view hint) override {
    if (directory.starts_with(in_memory_root)) return std::make_unique<travelling_part>();
    return savepoints_.create(directory, scope, hint);
  }
  std::unique_ptr<readable_file> open(const std::string& directory, const object_handle& object) override {
    return savepoints_.open(directory, object);
  }
  void remove(const std::string& directory, const object_handle& object) override {
    savepoints_.remove(directory, object);
  }

private:
  file_checkpoint_storage savepoints_;
};

std::uint64_t seed_of(std::uint64_t seed, const std::string& place) {
  return seed ^ hash_bytes(place.data(), place.size());
}

} // namespace

std::shared_ptr<const job_library> library_of(const job_origin& origin, const std::string& path,
                                              const program_jobs& own) {
  if (origin.artifact.empty()) {
    if (own) return own;
    throw error{errc::job_not_found, "there are no built-in jobs here", "submit a job library"};
  }
  try {
    return job_library::load(path);
  } catch (const error& e) {
    throw e.within("the job library " + origin.library);
  }
}

std::string fingerprint_of(const std::shared_ptr<const stream_graph>& graph) {
  return fingerprint(make_job_graph(graph));
}

std::shared_ptr<const stream_graph> build_graph(const job_origin& origin,
                                                const std::shared_ptr<const job_library>& library) {
  static std::mutex one_at_a_time; // functions of one library may share what they like
  std::lock_guard lock{one_at_a_time};
  environment_options options;
  options.runner = std::make_shared<no_executor>();
  options.configuration = origin.settings;
  options.submit_time = origin.submit_time;
  options.random_seed = origin.random_seed;
  options.code = library;
  environment env{options};
  auto args = parameters::from_args(origin.arguments);
  args.replay_files(origin.files);
  library->build(origin.entry, env, args);
  auto graph = env.graph(origin.name);
  for (auto& node : graph->nodes())
    if (node.source && node.source->listener)
      throw error{errc::invalid_graph,
                  describe_operator(node) + " is fed by actors of a program, which other processes do not have",
                  "run the job in that program"};
  if (const auto built = fingerprint_of(graph); built != origin.fingerprint)
    throw error{errc::incompatible_library,
                "job \"" + origin.name + "\" builds another graph here (" + built + ") than where it was submitted (" +
                    origin.fingerprint + ")",
                "take times from env.submit_time(), randomness from env.random_seed(), files from args.file()"};
  return graph;
}

std::shared_ptr<const job_description> describe_job(const prepare_job& job,
                                                    const std::shared_ptr<const job_library>& library,
                                                    const configuration& settings, const std::string& place,
                                                    const platform& world) {
  job_submission built{job.id, job.origin->name, build_graph(*job.origin, library), job.settings};
  const auto plan = plan_of(built, job.stored_max_parallelism, job.most_parallelism);
  if (const auto here = fingerprint(plan->graph()); here != job.fingerprint)
    throw error{errc::incompatible_library,
                "job \"" + built.name + "\" has another plan on this task manager (" + here +
                    ") than at the job manager (" + job.fingerprint + ")",
                "see whether both processes are of one build"};
  auto all = settings_of(built);
  for (const auto* key : {"io.tmp.dirs", "state.backend.rocksdb.localdir"})
    if (settings.is_set(key)) all.set(key, settings.text(key));
  auto made = std::make_shared<job_description>();
  made->id = job.id;
  made->name = built.name;
  made->fingerprint = job.fingerprint;
  made->plan = plan;
  made->tasks = task_settings_of(all, *built.graph, job.seed);
  if (job.makes_checkpoints) {
    const auto wanted = checkpoint_settings::from(all);
    checkpoint_access access;
    access.how = wanted.compress;
    access.expected = job.expected;
    if (all.boolean("execution.state-recovery.from-local")) access.copies = all.text("io.tmp.dirs");
    if (job.checkpoint_root.empty()) {
      access.objects = std::make_shared<travelling_objects>(*world.files, job.id, seed_of(job.seed, place));
    } else {
      access.objects = std::make_shared<file_checkpoint_storage>(*world.files, job.checkpoint_root, job.id,
                                                                 seed_of(job.seed, place), wanted.inline_threshold);
      access.incremental = wanted.incremental;
    }
    made->checkpoints = std::make_shared<const checkpoint_access>(std::move(access));
  }
  return made;
}

configuration merged(const configuration& cluster, const configuration& job) {
  configuration all;
  for (auto& [key, e] : cluster.values())
    all.set(key, e.value, config_layer::defaults, e.origin);
  for (auto& [key, e] : job.values())
    all.set(key, e.value, e.layer, e.origin);
  return all;
}

} // namespace dataflow::actors
