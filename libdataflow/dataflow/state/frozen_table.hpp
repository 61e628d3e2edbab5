/// A table of a database as a state of a snapshot: each row becomes a piece of its key group's part.
///
/// Threading: a frozen_table may be written and destroyed on any thread. Ownership: holds the view of the database.
#pragma once

#include <dataflow/state/keyed_store.hpp>
#include <dataflow/state/state_database.hpp>

#include <memory>
#include <utility>

namespace dataflow::detail {

/// Source: state_database or database_view.
template <class Source>
void write_table(Source& from, std::uint32_t table, key_group_range groups, keyed_store::table_writer convert,
                 state_writer& out) {
  from.scan(table, groups, [&](std::string_view key, std::string_view value) {
    convert(key, value, out.part_of(database_key_group(key)));
    return true;
  });
}

class frozen_table final : public frozen_state {
public:
  frozen_table(std::shared_ptr<const database_view> view, std::uint32_t table, key_group_range groups,
               keyed_store::table_writer convert)
      : view_(std::move(view)), table_(table), groups_(groups), convert_(convert) {}
  void write(state_writer& out) const override { write_table(*view_, table_, groups_, convert_, out); }

private:
  std::shared_ptr<const database_view> view_;
  std::uint32_t table_;
  key_group_range groups_;
  keyed_store::table_writer convert_;
};

} // namespace dataflow::detail
