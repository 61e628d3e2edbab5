#include <dataflow/actors/network/job_journal.hpp>
#include <dataflow/actors/network/wire.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/log.hpp>

#include <cstdint>
#include <string_view>
#include <utility>

namespace dataflow::actors {

namespace {

const char* const who = "job journal";

/// Of what is stored, before its bytes. To be raised with every change of job_origin's or job_result's fields.
constexpr std::uint32_t format = 1;

std::string stored(const std::string& bytes) {
  std::string out(sizeof format, '\0');
  for (std::size_t i = 0; i < sizeof format; ++i)
    out[i] = static_cast<char>(format >> (8 * i) & 0xffU);
  return out + bytes;
}

std::string_view content_of(std::string_view bytes) {
  if (bytes.substr(0, sizeof format) == stored({})) return bytes.substr(sizeof format);
  throw error{errc::newer_format, "another version of dataflow has stored it",
              "run the job manager of that version, or start the job again from its last checkpoint with -s"};
}

} // namespace

job_journal::job_journal(std::shared_ptr<ha_store> store, leader_token token, file_system& files)
    : store_(std::move(store)), token_(token), files_(files) {
  store_->clean(token_);
}

void job_journal::accepted(const std::string& id, const job_origin& origin, const std::string& library) {
  if (!origin.artifact.empty()) store_->put_artifact(token_, origin.artifact, files_.read_file(library));
  store_->put_job(token_, id, stored(encode(origin)));
}

void job_journal::refused(const std::string& id) { store_->remove_job(token_, id); }

void job_journal::ended(const job_result& result) {
  const std::lock_guard guard{mutex_};
  if (ended_.contains(result.id)) return;
  store_->put_result(token_, result.id, stored(encode(result)));
  store_->remove_job(token_, result.id);
  ended_.insert(result.id);
}

std::vector<job_journal::unfinished_job> job_journal::unfinished(artifact_store& libraries) {
  std::vector<unfinished_job> out;
  for (const auto& id : store_->jobs()) {
    try {
      if (store_->result(id)) { // its leader died in between
        store_->remove_job(token_, id);
        continue;
      }
      const auto bytes = store_->job(id);
      if (!bytes) continue;
      auto origin = std::make_shared<job_origin>(decode_job_origin(content_of(*bytes)));
      if (!origin->artifact.empty() && !libraries.find(origin->artifact).complete) {
        const auto library = store_->artifact(origin->artifact);
        if (!library)
          throw error{errc::file_not_found, "its library " + origin->artifact + " is not in the store",
                      "submit the job again with -s"};
        libraries.append(origin->artifact, library->size(), 0, *library);
      }
      out.push_back({id, std::move(origin)});
    } catch (const error& e) {
      if (e.code() == errc::stale_message) throw;
      log_error({who, id, {}}, "the job is not recovered: " + e.to_string());
    }
  }
  return out;
}

std::vector<std::shared_ptr<const job_result>> job_journal::results() {
  std::vector<std::shared_ptr<const job_result>> out;
  for (const auto& id : store_->results()) {
    try {
      if (const auto bytes = store_->result(id))
        out.push_back(std::make_shared<job_result>(decode_job_result(content_of(*bytes))));
    } catch (const error& e) {
      log_warn({who, id, {}}, "the job's result cannot be read: " + e.to_string());
    }
  }
  return out;
}

} // namespace dataflow::actors
