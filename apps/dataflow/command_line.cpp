#include <dataflow/actors/network/remote_cluster.hpp>
#include <dataflow/config/units.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/suggest.hpp>
#include <dataflow/util/version.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <apps/dataflow/command_line.hpp>

namespace dataflow::cli {

namespace {

const std::vector<std::string> verbs{"run",    "run-application", "info",      "examples",   "options",
                                     "new",    "state",           "savepoint", "jobmanager", "taskmanager",
                                     "list",   "cancel",          "stop",      "checkpoint", "cluster",
                                     "doctor", "upgrade",         "try-job",   "simulate"};

struct raw_options {
  std::string config_file, parallelism, format = "text", from_savepoint, claim_mode, stop_after, address,
                                        mode = "savepoint", patience;
  bool allow_non_restored = false;
  std::vector<std::string> defines;
};

void add_config_options(CLI::App& app, raw_options& raw) {
  app.add_option("-D", raw.defines, "A configuration key: -Dkey=value; may be repeated")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  app.add_option("--config", raw.config_file, "A YAML file of configuration keys")->type_name("FILE");
}

void add_job_options(CLI::App& app, command_line& out, raw_options& raw) {
  app.allow_extras();
  app.add_option("job", out.job, "A job library (lib<job>.so), or the name of a built-in example")->required();
  app.add_option("-p,--parallelism", raw.parallelism, "Short for -Dparallelism.default=N");
  app.add_option("-c,--job", out.entry, "Which job, when the library has several");
  add_config_options(app, raw);
}

void add_start_options(CLI::App& run, command_line& out, raw_options& raw) {
  run.add_option("-s,--fromSavepoint,--from-savepoint", raw.from_savepoint,
                 "Start from this savepoint or checkpoint: its directory, or its _metadata")
      ->type_name("PATH");
  run.add_flag("-n,--allowNonRestoredState,--allow-non-restored-state", raw.allow_non_restored,
               "Drop state of operators that the job does not have");
  run.add_option("--claimMode,--claim-mode,--restoreMode", raw.claim_mode,
                 "Of what -s names: NO_CLAIM leaves it alone, CLAIM gives it to the job")
      ->type_name("MODE");
  run.add_option("--stop-with-savepoint", out.stop_with_savepoint,
                 "Ctrl-C, SIGTERM and --stop-after stop the job with a savepoint in this directory")
      ->type_name("DIR");
  run.add_option("--stop-after", raw.stop_after, "Stop the job after this time")->type_name("TIME");
  run.add_flag("--drain", out.drain, "Stop as at the end of the input: windows and timers fire before the savepoint");
}

void add_settings(CLI::App& app, raw_options& raw) {
  app.add_option("-D", raw.defines, "A configuration key: -Dkey=value; may be repeated")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  app.add_option("--config", raw.config_file, "A YAML file of configuration keys")->type_name("FILE");
}

void add_address(CLI::App& app, raw_options& raw) {
  app.add_option("-m,--jobmanager", raw.address, "Where the job manager listens")->type_name("HOST:PORT");
}

/// Commands that are processes of a cluster, and those that talk to one; each sets the verb when it is parsed.
void add_cluster_commands(CLI::App& app, command_line& out, raw_options& raw) {
  const auto add = [&](const char* name, cli::verb verb, const char* what) -> CLI::App& {
    auto& command = *app.add_subcommand(name, what);
    command.parse_complete_callback([&out, verb] { out.verb = verb; });
    add_settings(command, raw);
    return command;
  };
  const auto add_client = [&](const char* name, cli::verb verb, const char* what, bool job) -> CLI::App& {
    auto& command = add(name, verb, what);
    add_address(command, raw);
    if (job) command.add_option("job", out.job_id, "The job's id, 32 hexadecimal digits")->required();
    return command;
  };
  const auto add_process = [&](const char* name, cli::verb verb, const char* what) -> CLI::App& {
    auto& command = add(name, verb, what);
    command.add_option("--pid-file", out.pid_file, "")->group("");
    command.add_option("--starter", out.starter, "")->group("");
    return command;
  };
  add_process("jobmanager", verb::jobmanager, "Be the job manager of a cluster");
  add_address(add_process("taskmanager", verb::taskmanager, "Be a task manager of a cluster"), raw);
  auto& cluster = *app.add_subcommand("cluster", "Start or stop a whole cluster on this machine");
  cluster.require_subcommand(1);
  const auto add_whole = [&](const char* name, cli::verb verb, const char* what) -> CLI::App& {
    auto& command = *cluster.add_subcommand(name, what);
    command.parse_complete_callback([&out, verb] { out.verb = verb; });
    add_settings(command, raw);
    command.add_option("--directory", out.cluster_directory, "Of its pid files and logs")->type_name("DIR");
    return command;
  };
  add_whole("start", verb::cluster_start, "Start a job manager and task managers")
      .add_option("-n,--taskmanagers", out.task_managers, "How many task managers")
      ->check(CLI::Range(0, 1000));
  add_whole("stop", verb::cluster_stop, "Stop them");
  add_client("list", verb::list, "List the jobs of a cluster", false)
      .add_flag("-a,--all", out.all, "Those that have ended, too");
  add_client("cancel", verb::cancel, "Cancel a job of a cluster", true);
  auto& stop = add_client("stop", verb::stop, "Stop a job of a cluster with a savepoint", true);
  stop.add_option("-p,--savepointPath,--savepoint-path", out.target_directory, "Where the savepoint goes")
      ->type_name("DIR");
  stop.add_flag("-d,--drain", out.drain, "As at the end of the input: windows and timers fire before the savepoint");
  add_client("checkpoint", verb::checkpoint, "Have a job of a cluster make a checkpoint", true);
  auto& trial = *app.add_subcommand("try-job", "")->group(""); // not shown: the job manager starts it
  trial.parse_complete_callback([&out] { out.verb = cli::verb::try_job; });
  trial.add_option("library", out.library, "");
}

/// Flink's long flags with one dash.
std::vector<std::string> with_two_dashes(std::vector<std::string> arguments) {
  for (auto& a : arguments) {
    if (a == "--") break;
    if (a == "-claimMode" || a == "-rm") a = "--claimMode";
    if (a == "-savepointPath") a = "--savepointPath";
  }
  return arguments;
}

[[noreturn]] void unknown_flag(const std::string& flag, const CLI::App& app) {
  std::vector<std::string> known;
  for (const auto* o : app.get_options())
    for (const auto& name : o->get_lnames())
      known.push_back("--" + name);
  const auto name = flag.substr(0, flag.find('='));
  throw error{errc::unknown_option, "there is no flag " + name + " of `dataflow " + app.get_name() + "`",
              did_you_mean(name, known,
                           "see `dataflow " + app.get_name() +
                               " --help`; parameters of the job stand "
                               "after its name")};
}

/// What is left over belongs to the job, unless it stands before the job's name.
std::vector<std::string> job_arguments(const CLI::App& app, const std::vector<std::string>& given,
                                       const std::string& job) {
  const auto rest = app.remaining();
  for (const auto& argument : given) {
    if (argument == job) break;
    if (argument.starts_with("-") && std::find(rest.begin(), rest.end(), argument) != rest.end())
      unknown_flag(argument, app);
  }
  return rest;
}

void refuse_extras(const CLI::App& app) {
  const auto rest = app.remaining();
  if (rest.empty()) return;
  if (rest.front().starts_with("-")) unknown_flag(rest.front(), app);
  throw error{errc::invalid_option, "\"" + rest.front() + "\" is too much for `dataflow " + app.get_name() + "`",
              "see `dataflow " + app.get_name() + " --help`"};
}

/// The commands of `dataflow state`; each sets the action when it is parsed.
CLI::App& add_state_commands(CLI::App& app, command_line& out) {
  auto& state = *app.add_subcommand("state", "Look into a checkpoint or savepoint, without its job");
  state.require_subcommand(1);
  const auto add = [&](const char* name, const char* what) -> CLI::App& {
    auto& command = *state.add_subcommand(name, what);
    command.parse_complete_callback([&out, name] { out.state.action = name; });
    command.add_flag("--json", out.json, "One JSON object per line");
    command.add_option("checkpoint", out.state.checkpoint, "Its directory, or its _metadata")->required();
    return command;
  };
  const auto add_state = [&](CLI::App& command) {
    command.add_option("state", out.state.state, "<operator's uid>/<state>")->required();
  };
  add("list", "Operators and their states: kind, size, parallelism, schema");
  auto& inspect = add("inspect", "Number of keys, sizes of key groups, the largest entries");
  add_state(inspect);
  inspect.add_option("--top", out.state.top, "How many of the largest entries");
  auto& get = add("get", "The value of one key");
  add_state(get);
  get.add_option("key", out.state.key, "As JSON; a text may stand without quotes")->required();
  auto& diff = add("diff", "Keys that were added, removed or changed");
  diff.add_option("other", out.state.other, "The later checkpoint")->required();
  add_state(diff);
  add_state(add("export", "All entries, one JSON object per line"));
  auto& rewrite = add("rewrite", "Write a savepoint in which a command has changed the values of a state");
  add_state(rewrite);
  rewrite.add_option("--with", out.state.with, "Gets the lines of `export` and writes those that are to be there")
      ->required();
  rewrite.add_option("--to", out.state.to, "Directory of the new savepoint")->required();
  return state;
}

void apply(const raw_options& raw, command_line& out) {
  if (!raw.config_file.empty()) out.config.load_file(raw.config_file);
  out.config_file = raw.config_file;
  for (const auto& define : raw.defines)
    out.config.set_from_flag(define);
  if (!raw.parallelism.empty())
    out.config.set("parallelism.default", raw.parallelism, config_layer::command_line, "-p");
  const auto set = [&](const char* key, const std::string& value, const char* flag) {
    if (!value.empty()) out.config.set(key, value, config_layer::command_line, flag);
  };
  if (!raw.address.empty()) {
    const auto where = actors::remote_address::parse(raw.address);
    set("jobmanager.rpc.address", where.host, "-m");
    set("jobmanager.rpc.port", std::to_string(where.port), "-m");
    out.remote = true;
  } else if (out.config.text("high-availability.type") != "none") {
    out.remote = out.to_leader = true;
  }
  set("execution.state-recovery.path", raw.from_savepoint, "-s");
  set("execution.state-recovery.claim-mode", raw.claim_mode, "--claim-mode");
  set("execution.state-recovery.ignore-unclaimed-state", raw.allow_non_restored ? "true" : "", "-n");
  if (!raw.stop_after.empty()) {
    const auto time = parse_duration(raw.stop_after);
    if (!time || time->count() < 0)
      throw error{errc::invalid_option, "--stop-after: \"" + raw.stop_after + "\" is no time", "write 30s, 5 min"};
    out.stop_after = std::chrono::duration_cast<std::chrono::milliseconds>(*time);
  }
  if (out.remote && out.detached && (out.stop_after || out.stop_with_savepoint))
    throw error{errc::invalid_option,
                std::string{out.stop_after ? "--stop-after" : "--stop-with-savepoint"} +
                    " is for jobs that this process waits for, -d leaves the job to the cluster",
                "leave out -d, or stop the job with `dataflow stop`"};
  const auto mode = parse_upgrade_mode(raw.mode);
  if (!mode)
    throw error{errc::invalid_option, "--mode: \"" + raw.mode + "\" is no mode of an upgrade",
                "write one of savepoint, last-state, stateless"};
  out.mode = *mode;
  if (!raw.patience.empty()) {
    const auto time = parse_duration(raw.patience);
    if (!time || time->count() <= 0)
      throw error{errc::invalid_option, "--timeout: \"" + raw.patience + "\" is no time", "write 30s, 5 min"};
    out.patience = std::chrono::duration_cast<std::chrono::milliseconds>(*time);
  }
  if (out.drain && !out.stop_with_savepoint && out.verb != cli::verb::stop)
    throw error{errc::invalid_option, "--drain is for jobs that stop with a savepoint",
                "name its directory: --stop-with-savepoint DIR"};
}

} // namespace

std::vector<std::string> run_flags() {
  return {"parallelism",    "job",
          "config",         "detached",
          "quiet",          "json",
          "metrics",        "explain",
          "format",         "fromSavepoint",
          "from-savepoint", "allow-non-restored-state",
          "claim-mode",     "stop-with-savepoint",
          "stop-after",     "drain",
          "jobmanager"};
}

namespace {

CLI::App& add_simulate(CLI::App& app, command_line& out, raw_options& raw) {
  auto& simulate = *app.add_subcommand(
      "simulate", "Run a job on a simulated cluster of many nodes, from many seeds, with faults; compare its files");
  add_job_options(simulate, out, raw);
  simulate.add_option("--nodes", out.simulate.nodes, "How many task managers")->check(CLI::Range(1, 100));
  simulate.add_option("--jobmanagers", out.simulate.job_managers, "How many job managers; one leads")
      ->check(CLI::Range(1, 10));
  simulate.add_option("--seeds", out.simulate.seeds, "How many runs");
  simulate.add_option("--first-seed", out.simulate.first_seed, "The seed of the first run; the others follow");
  simulate.add_option("--faults", out.simulate.faults, "How many faults strike in each run");
  simulate
      .add_option("--copy", out.simulate.copies,
                  "A file or directory that the simulated disk has, too; may be repeated")
      ->allow_extra_args(false)
      ->type_name("PATH");
  return simulate;
}

CLI::App& add_run(CLI::App& app, command_line& out, raw_options& raw, const char* name, const char* what) {
  auto& run = *app.add_subcommand(name, what);
  add_job_options(run, out, raw);
  run.add_flag("-d,--detached", out.detached, "Leave the job running in the background");
  run.add_flag("-q,--quiet", out.quiet, "No progress; errors only");
  run.add_flag("--json", out.json, "Progress and result as one JSON object per line on standard output");
  run.add_flag("--metrics", out.metrics, "At the end, what the job, its tasks and operators have counted");
  run.add_flag("--explain", out.explain, "At the interval of the progress, what holds event time back");
  add_address(run, raw);
  add_start_options(run, out, raw);
  run.footer("What else stands after the job's name is the job's: --name value, --name=value, --flag.\n"
             "After a lone -- everything is. Exit codes: docs/command-line.md.");
  return run;
}

CLI::App& add_upgrade(CLI::App& app, command_line& out, raw_options& raw) {
  auto& upgrade =
      *app.add_subcommand("upgrade", "Replace a job of a cluster by a changed one, or go back when that does not run");
  upgrade.add_option("id", out.job_id, "The job's id, 32 hexadecimal digits")->required();
  add_job_options(upgrade, out, raw);
  add_address(upgrade, raw);
  upgrade
      .add_option("--mode,--upgradeMode,--upgrade-mode", raw.mode,
                  "savepoint: from a savepoint at which the old one stops; last-state: from its last checkpoint; "
                  "stateless: from nothing")
      ->type_name("MODE");
  upgrade.add_option("--savepointPath,--savepoint-path", out.target_directory, "Where the savepoint goes")
      ->type_name("DIR");
  upgrade
      .add_option("--timeout", raw.patience, "For the new job to run and complete a checkpoint; the default is 5 min")
      ->type_name("TIME");
  upgrade.add_flag("-n,--allowNonRestoredState,--allow-non-restored-state", raw.allow_non_restored,
                   "Drop state of operators that the new job does not have");
  upgrade.footer(
      "What else stands after the job's name is the new job's. Exit code: 0 when the new job runs, 1 when it "
      "does not, 2 or 3 when nothing has changed.");
  return upgrade;
}

} // namespace

command_line parse_command_line(const std::vector<std::string>& arguments) {
  command_line out;
  raw_options raw;
  CLI::App app{"Runs streaming jobs: job libraries of yours, and built-in examples.", "dataflow"};
  app.require_subcommand(0, 1);
  bool version = false;
  app.add_flag("--version", version, "Print the version");

  auto& run = add_run(app, out, raw, "run", "Run a job in this process, or with -m on a cluster, and wait for its end");
  auto& application = add_run(app, out, raw, "run-application",
                              "Run a job on a cluster of its own on this machine, which ends with it");
  application.add_option("--taskmanagers", out.task_managers, "How many task managers")->check(CLI::Range(0, 1000));

  auto& upgrade = add_upgrade(app, out, raw);

  auto& info = *app.add_subcommand("info", "Show how a job would run: tasks, chains, slots");
  add_job_options(info, out, raw);
  info.add_option("--format", raw.format, "text, json or dot (Graphviz)")->type_name("FORMAT");
  info.add_flag("--json", out.json, "Short for --format json");

  auto& simulate = add_simulate(app, out, raw);

  auto& examples = *app.add_subcommand("examples", "List the built-in example jobs");
  examples.allow_extras();
  auto& options = *app.add_subcommand("options", "List all configuration keys");
  options.allow_extras();
  options.add_flag("--markdown", out.markdown, "As the reference page");
  options.add_flag("--yaml", out.yaml, "As a commented configuration file");
  auto& create = *app.add_subcommand("new", "Write a job project of your own");
  create.allow_extras();
  create.add_option("name", out.name, "Name of the job: letters, digits and underscores")->required();
  create.add_option("directory", out.directory, "Where; the default is ./<name>");

  auto& state = add_state_commands(app, out);
  add_cluster_commands(app, out, raw);
  auto& savepoint = *app.add_subcommand(
      "savepoint", "Have a job of a cluster make a savepoint; remove one, or look whether a job can start from it");
  savepoint.require_subcommand(0, 1);
  add_settings(savepoint, raw);
  add_address(savepoint, raw);
  savepoint.add_option("job", out.job_id, "The job's id, 32 hexadecimal digits");
  savepoint.add_option("directory", out.target_directory, "Where the savepoint goes; the default is as configured");
  savepoint.add_subcommand("dispose", "Remove a savepoint, or a checkpoint of a job that does not run")
      ->add_option("path", out.savepoint, "Its directory, or its _metadata")
      ->required();
  auto& check = *savepoint.add_subcommand("check", "Whether a job could start from it; nothing is run");
  check.add_option("path", out.savepoint, "Its directory, or its _metadata")->required();
  add_job_options(check, out, raw);
  check.add_flag("-n,--allowNonRestoredState,--allow-non-restored-state", raw.allow_non_restored,
                 "Drop state of operators that the job does not have");
  check.add_flag("--json", out.json, "One JSON object");

  auto& doctor =
      *app.add_subcommand("doctor", "Look whether this machine can be a node: ports, limits, disk, clock ...");
  doctor.allow_extras();
  add_config_options(doctor, raw);
  doctor.add_option("--reach", out.reach, "Another node that should answer; may be repeated")
      ->allow_extra_args(false)
      ->type_name("HOST:PORT");
  doctor.add_flag("--json", out.json, "One JSON object per finding");
  doctor.footer("Exit code: 0 when nothing fails, 1 when something does.");

  // A mistyped verb is told from a missing one before CLI11 calls it an unexpected argument.
  if (!arguments.empty() && !arguments[0].starts_with("-") &&
      std::find(verbs.begin(), verbs.end(), arguments[0]) == verbs.end()) {
    throw error{errc::unknown_option, "there is no command `dataflow " + arguments[0] + "`",
                did_you_mean(arguments[0], verbs, "see `dataflow --help`")};
  }
  const auto given = with_two_dashes(arguments);
  auto reversed = given;
  std::reverse(reversed.begin(), reversed.end());
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    const auto chosen = app.get_subcommands();
    const auto nested = chosen.empty() ? chosen : chosen.front()->get_subcommands();
    out.help = (!nested.empty() ? nested.front() : !chosen.empty() ? chosen.front() : &app)->help();
    return out;
  } catch (const CLI::ParseError& e) {
    throw error{errc::invalid_option, e.what(), "see `dataflow --help`"};
  }

  if (version) {
    out.verb = cli::verb::version;
  } else if (run.parsed() || application.parsed() || info.parsed()) {
    out.verb = run.parsed() ? cli::verb::run : info.parsed() ? cli::verb::info : cli::verb::run_application;
    out.job_arguments = job_arguments(run.parsed() ? run : info.parsed() ? info : application, given, out.job);
    apply(raw, out);
    if (info.parsed()) {
      if (out.json) raw.format = "json";
      if (raw.format == "text") {
        out.format = info_format::text;
      } else if (raw.format == "json") {
        out.format = info_format::json;
      } else if (raw.format == "dot") {
        out.format = info_format::dot;
      } else {
        throw error{errc::invalid_option, "--format: \"" + raw.format + "\" is no valid value",
                    "write one of text, json, dot"};
      }
    }
  } else if (upgrade.parsed()) {
    out.verb = cli::verb::upgrade;
    out.job_arguments = job_arguments(upgrade, given, out.job);
    apply(raw, out);
  } else if (simulate.parsed()) {
    out.verb = cli::verb::simulate;
    out.job_arguments = job_arguments(simulate, given, out.job);
    apply(raw, out);
  } else if (examples.parsed()) {
    refuse_extras(examples);
    out.verb = cli::verb::examples;
  } else if (options.parsed()) {
    refuse_extras(options);
    out.verb = cli::verb::options;
  } else if (create.parsed()) {
    refuse_extras(create);
    out.verb = cli::verb::create;
  } else if (state.parsed()) {
    out.verb = cli::verb::state;
  } else if (check.parsed()) {
    out.verb = cli::verb::check_savepoint;
    out.job_arguments = job_arguments(check, given, out.job);
    raw.from_savepoint = out.savepoint;
    apply(raw, out);
  } else if (savepoint.parsed()) {
    out.verb = savepoint.get_subcommands().empty() ? cli::verb::savepoint : cli::verb::dispose;
    if (out.verb == cli::verb::savepoint && out.job_id.empty())
      throw error{errc::missing_parameter, "`dataflow savepoint` needs the id of a job", "see `dataflow list`"};
    apply(raw, out);
  } else if (doctor.parsed()) {
    refuse_extras(doctor);
    out.verb = cli::verb::doctor;
    apply(raw, out);
  } else if (out.verb != cli::verb::help) {
    refuse_extras(*app.get_subcommands().front());
    apply(raw, out);
  } else {
    out.help = app.help();
  }
  return out;
}

} // namespace dataflow::cli
