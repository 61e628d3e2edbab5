#include <dataflow/actors/network/wire.hpp>
#include <dataflow/actors/network/wire_fields.hpp>
#include <dataflow/api/job_descriptor.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

namespace dataflow::actors {

namespace {

template <class T>
caf::error save(caf::serializer& to, T& message) {
  wire_writer out;
  fields(out, message);
  auto bytes = out.take();
  return to(out.handles(), bytes);
}

template <class T>
caf::error load(caf::deserializer& from, T& message, const char* name) {
  std::vector<caf::actor> handles;
  std::string bytes;
  if (auto e = from(handles, bytes)) return e;
  try {
    wire_reader in{bytes, handles};
    fields(in, message);
    in.finish();
    return caf::none;
  } catch (...) {
    log_error({"network", {}, {}},
              std::string{"a message of kind "} + name + " is dropped: " + current_error(errc::internal).cause());
    return caf::make_error(caf::sec::invalid_argument);
  }
}

} // namespace

#define DATAFLOW_TRAVELS(name)                                                                                         \
  caf::error inspect(caf::serializer& to, name& message) { return save(to, message); }                                 \
  caf::error inspect(caf::deserializer& from, name& message) { return load(from, message, #name); }
DATAFLOW_CLUSTER_MESSAGES(DATAFLOW_TRAVELS)
DATAFLOW_NETWORK_MESSAGES(DATAFLOW_TRAVELS)
#undef DATAFLOW_TRAVELS

void add_wire_types(caf::actor_system_config& config) {
#define DATAFLOW_ADD(name) config.add_message_type<name>("dataflow." #name);
  DATAFLOW_CLUSTER_MESSAGES(DATAFLOW_ADD)
  DATAFLOW_NETWORK_MESSAGES(DATAFLOW_ADD)
#undef DATAFLOW_ADD
  config.add_message_type<job_report>("dataflow.job_report");
}

namespace {

template <class T>
std::string whole(const T& x) {
  wire_writer out;
  out(x);
  return out.take();
}

template <class T>
T read_whole(std::string_view bytes) {
  const std::vector<caf::actor> none;
  wire_reader in{bytes, none};
  T x;
  in(x);
  in.finish();
  return x;
}

} // namespace

std::string encode(const job_origin& origin) { return whole(origin); }
job_origin decode_job_origin(std::string_view bytes) { return read_whole<job_origin>(bytes); }
std::string encode(const job_result& result) { return whole(result); }
job_result decode_job_result(std::string_view bytes) { return read_whole<job_result>(bytes); }

std::string process_stamp() {
  return std::string{"dataflow "} + library_version + ", ABI " + std::to_string(abi_version) + ", " + compiler_stamp +
         ", layout " + std::to_string(detail::shared_layout());
}

} // namespace dataflow::actors

namespace dataflow {

caf::error inspect(caf::serializer& to, job_report& message) { return actors::save(to, message); }
caf::error inspect(caf::deserializer& from, job_report& message) { return actors::load(from, message, "job_report"); }

} // namespace dataflow
