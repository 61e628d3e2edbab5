/// The side outputs of one operator: a collector per tag, made when it is first used.
///
/// Threading: the task's own. Ownership: belongs to the operator.
#pragma once

#include <dataflow/operators/collector.hpp>
#include <dataflow/operators/output_tag.hpp>

#include <memory>
#include <vector>

namespace dataflow {

class side_collectors {
public:
  explicit side_collectors(operator_context& context) noexcept : context_(context) {}

  template <class T>
  void collect(const output_tag<T>& tag, T value) {
    auto& side = static_cast<of<T>&>(find_or_make<T>(tag.id()));
    if (stamped_)
      side.out.set_timestamp(time_);
    else
      side.out.clear_timestamp();
    side.out.collect(std::move(value));
  }
  void set_timestamp(bool stamped, timestamp t) noexcept {
    stamped_ = stamped;
    time_ = t;
  }
  /// Remembers where a record begins, and goes back there.
  void save() noexcept {
    for (auto& s : sides_)
      s->save();
  }
  void restore() {
    for (auto& s : sides_)
      s->restore();
  }
  void flush() {
    for (auto& s : sides_)
      s->flush();
  }
  bool has_full_batch() const noexcept {
    for (auto& s : sides_)
      if (s->full()) return true;
    return false;
  }

private:
  struct base {
    explicit base(std::uint64_t id) noexcept : id(id) {}
    virtual ~base() = default;
    virtual void save() noexcept = 0;
    virtual void restore() = 0;
    virtual void flush() = 0;
    virtual bool full() const noexcept = 0;
    std::uint64_t id;
  };
  template <class T>
  struct of final : base {
    of(std::uint64_t id, operator_context& context) : base(id), out(context, context.side_output(id)) {}
    void save() noexcept override { mark = out.position(); }
    void restore() override { out.rollback(mark); }
    void flush() override {
      out.flush();
      mark = {};
    }
    bool full() const noexcept override { return out.has_full_batch(); }
    collector<T> out;
    typename collector<T>::mark mark{};
  };
  template <class T>
  base& find_or_make(std::uint64_t id) {
    for (auto& s : sides_)
      if (s->id == id) return *s;
    return *sides_.emplace_back(std::make_unique<of<T>>(id, context_));
  }

  operator_context& context_;
  std::vector<std::unique_ptr<base>> sides_;
  bool stamped_ = false;
  timestamp time_{};
};

} // namespace dataflow
