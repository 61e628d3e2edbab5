#include <dataflow/exchange/spillable_queue.hpp>
#include <dataflow/record/record_type.hpp>
#include <dataflow/task/feedback_queue.hpp>
#include <dataflow/util/file_system.hpp>

#include <optional>

namespace dataflow {

struct feedback_queue::impl {
  feedback_limits limits;
  file_system* files;
  std::string name;
  std::deque<entry> memory; // older than everything in `disk`
  std::uint64_t memory_bytes = 0;
  std::optional<spillable_queue> disk;
  const record_type* type = nullptr; // of all batches of the loop

  bool spilled() const noexcept { return disk && !disk->empty(); }

  void spill(const entry& e) {
    if (!disk) disk.emplace(*files, limits.directory, name, spill_limits{0, 16u << 20, 256u << 10});
    byte_writer out;
    out.varint(e.channel);
    out.varint(e.sequence);
    out.varint(e.bytes);
    out.fixed(static_cast<std::uint8_t>(e.what.kind));
    out.fixed<std::uint8_t>(e.what.flag ? 1 : 0);
    out.fixed(e.what.value);
    if (e.what.data) {
      type = &e.what.data->type();
      type->encode(*e.what.data, out);
    }
    disk->push(out.take());
  }

  entry unspill() {
    const auto bytes = disk->pop();
    byte_reader in{bytes};
    entry e{};
    e.channel = static_cast<std::uint32_t>(in.varint());
    e.sequence = in.varint();
    e.bytes = in.varint();
    e.what.kind = static_cast<element_kind>(in.fixed<std::uint8_t>());
    e.what.flag = in.fixed<std::uint8_t>() != 0;
    e.what.value = in.fixed<std::int64_t>();
    if (e.what.is_batch()) {
      e.what.data = batch_ptr{type->create()};
      type->decode(in, *e.what.data);
    }
    return e;
  }
};

feedback_queue::feedback_queue(feedback_limits limits, file_system* files, std::string name)
    : impl_(new impl{std::move(limits), files, std::move(name)}) {}
feedback_queue::~feedback_queue() = default;

void feedback_queue::push(entry e) {
  auto& i = *impl_;
  if (i.files != nullptr && (i.spilled() || i.memory_bytes + e.bytes > i.limits.memory_bytes)) {
    i.spill(e);
  } else {
    i.memory_bytes += e.bytes;
    i.memory.push_back(std::move(e));
  }
}

bool feedback_queue::empty() const noexcept { return impl_->memory.empty() && !impl_->spilled(); }

feedback_queue::entry feedback_queue::pop() {
  auto& i = *impl_;
  if (i.memory.empty()) return i.unspill();
  auto e = std::move(i.memory.front());
  i.memory.pop_front();
  i.memory_bytes -= e.bytes;
  return e;
}

} // namespace dataflow
