/// What the graph keeps of a source: how to make its two halves.
///
/// Threading: copied freely; the functions may be called from any thread. Ownership: the functions share the source.
#pragma once

#include <dataflow/time/watermark_alignment.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace dataflow {

class error;
class source_driver;
class source_event_time;
class split_enumerator;

/// Somebody outside the job who has a part in its source, and so must know which job that is and when it has ended.
/// Told by whoever submits and watches the job, from any thread; must not block.
class source_listener {
public:
  virtual ~source_listener() = default;
  /// Before the job is handed in. Throws when the source cannot be part of it.
  virtual void job_submitted(const std::string& id, const std::string& name) = 0;
  /// Once: the job has ended, or was not accepted. `failure`: why, empty when it has finished.
  virtual void job_ended(const error& failure) noexcept = 0;
};

/// The two halves of a source, without its type.
struct source_factories {
  bool bounded = true;
  bool blocking = false;
  std::function<std::unique_ptr<source_driver>()> make_reader;
  std::function<std::unique_ptr<split_enumerator>()> make_enumerator;
  std::function<std::unique_ptr<split_enumerator>(const std::string&)> restore_enumerator;
  std::shared_ptr<source_listener> listener = {}; ///< null: nobody wants to know
  /// Of sources with a watermark strategy.
  std::function<std::unique_ptr<source_event_time>()> make_event_time;
  std::optional<watermark_alignment> alignment;
};

} // namespace dataflow
