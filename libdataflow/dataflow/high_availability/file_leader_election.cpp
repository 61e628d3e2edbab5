#include <dataflow/high_availability/file_leader_election.hpp>

#include <utility>

namespace dataflow {

namespace {

std::string hex(std::uint64_t value) {
  std::string out;
  for (int shift = 60; shift >= 0; shift -= 4)
    out.push_back("0123456789abcdef"[value >> shift & 15]);
  return out;
}

} // namespace

file_leader_election::file_leader_election(fenced_log& log, file_system& files, const clock& time, settings s)
    : log_(log), files_(files), clock_(time), settings_(std::move(s)), random_(settings_.seed),
      contender_(hex(random_())) {}

std::string file_leader_election::path_of(std::string_view what, const std::string& contender) const {
  return join_path(settings_.directory, std::string{what} + "-" + contender);
}

election_change file_leader_election::poll() {
  if (resigned_) return {};
  try {
    const auto last = log_.last_leadership();
    return token_ != 0 ? stay(last) : campaign(last);
  } catch (const error& e) {
    if (token_ == 0 || clock_.now() - heard_ < settings_.lease) return {};
    return lose(e.within("the leader cannot read who leads"));
  }
}

election_change file_leader_election::stay(const fenced_log::leadership& last) {
  if (last.token != token_)
    return lose({errc::stale_message,
                 "the leader with token " + std::to_string(token_) + " was replaced by the one at " + last.address +
                     ", with token " + std::to_string(last.token),
                 "it was silent for longer than high-availability.lease-timeout, or its process was thought dead"});
  heard_ = clock_.now();
  // Who cannot write here still leads: nobody else could write that it does.
  files_.write_file(path_of("alive", contender_), std::to_string(++beats_));
  return {};
}

election_change file_leader_election::campaign(const fenced_log::leadership& last) {
  if (last.contender == contender_ && !last.resigned) { // a write that had failed for us was made
    token_ = last.token;
    heard_ = clock_.now();
    return {election_change::kind::granted, token_, {}};
  }
  if (last.token != 0 && !last.resigned && !is_gone(last)) return {};
  files_.create_directories(settings_.directory);
  if (!lock_) lock_ = files_.lock(path_of("lock", contender_));
  files_.write_file(path_of("alive", contender_), std::to_string(++beats_));
  const auto token = log_.lead(last.token, contender_, settings_.address);
  if (!token) return {};
  token_ = *token;
  heard_ = clock_.now();
  if (!last.contender.empty()) forget(last.contender);
  return {election_change::kind::granted, token_, {}};
}

bool file_leader_election::is_gone(const fenced_log::leadership& last) {
  const auto now = clock_.now();
  const auto alive = path_of("alive", last.contender);
  auto beat = files_.exists(alive) ? files_.read_file(alive) : std::string{};
  if (watched_ != last.token || beat != last_beat_) {
    watched_ = last.token;
    last_beat_ = std::move(beat);
    changed_ = now;
  }
  if (now - changed_ >= settings_.lease) return true;
  files_.create_directories(settings_.directory);
  return files_.lock(path_of("lock", last.contender)) != nullptr; // given back at once
}

election_change file_leader_election::lose(error why) {
  const auto token = std::exchange(token_, 0);
  lock_.reset();
  forget(contender_);
  contender_ = hex(random_());
  return {election_change::kind::lost, token, std::move(why)};
}

void file_leader_election::resign() {
  if (std::exchange(resigned_, true)) return;
  const auto token = std::exchange(token_, 0);
  if (token != 0) {
    try {
      log_.resign(token);
    } catch (const error&) { // the lock is free in a moment: that says the same
    }
    forget(contender_);
  }
  lock_.reset();
}

std::optional<leader_information> file_leader_election::leader() {
  const auto last = log_.last_leadership();
  if (last.token == 0 || last.resigned) return std::nullopt;
  return leader_information{last.token, last.address};
}

/// Left-overs harm nobody.
void file_leader_election::forget(const std::string& contender) {
  try {
    files_.remove(path_of("alive", contender));
    files_.remove(path_of("lock", contender));
  } catch (const error&) {
  }
}

} // namespace dataflow
