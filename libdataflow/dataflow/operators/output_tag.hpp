/// Output tags: the names of side outputs.
///
/// A tag is a value: two tags with the same name and record type are the same side output. Its id depends on nothing
/// else, so it is equal in every process that runs the job.
#pragma once

#include <dataflow/record/record_type.hpp>

#include <string>

namespace dataflow {

namespace detail {
/// Never 0: that is the main output.
std::uint64_t output_tag_id(const std::string& name, const record_type& type);
} // namespace detail

template <class T>
class output_tag {
public:
  using value_type = T;
  /// Throws error{errc::invalid_argument} for an empty name.
  explicit output_tag(std::string name) : name_(std::move(name)), id_(detail::output_tag_id(name_, type())) {}
  const std::string& name() const noexcept { return name_; }
  std::uint64_t id() const noexcept { return id_; }
  static const record_type& type() { return record_type_of<T>(); }

private:
  std::string name_;
  std::uint64_t id_;
};

} // namespace dataflow
