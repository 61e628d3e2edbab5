#include <dataflow/network/link_state.hpp>

#include <algorithm>

namespace dataflow {

/// From nowhere towards a connection.
void link_state::seek(steady_time now) {
  attempt_at_ = std::max(attempt_at_, now);
  phase_ = connects_ ? phase::backing_off : phase::waiting;
}

void link_state::want(steady_time now) {
  if (wanted_) return;
  wanted_ = true;
  patient_until_ = now + settings_.patience;
  if (phase_ == phase::idle) seek(now);
}

void link_state::unwant() noexcept {
  wanted_ = false;
  if (phase_ == phase::waiting || phase_ == phase::backing_off) phase_ = phase::idle;
}

bool link_state::start_attempt(steady_time now) {
  if (phase_ != phase::backing_off || now < attempt_at_) return false;
  phase_ = phase::connecting;
  return true;
}

void link_state::failed(steady_time now) {
  if (phase_ != phase::connecting) return;
  const auto most = std::max(settings_.first_delay, settings_.longest_delay);
  const auto delay =
      std::min<std::chrono::milliseconds>(most, settings_.first_delay * (1u << std::min(failures_, 16u)));
  ++failures_;
  // Spread over half of the delay: many that lost the same peer do not come back at the same moment.
  const auto nanoseconds = std::chrono::duration<double, std::nano>{delay} * (0.75 + random_.unit() / 2);
  attempt_at_ = now + std::chrono::duration_cast<steady_time>(nanoseconds);
  phase_ = phase::idle;
  if (wanted_) seek(now);
}

void link_state::connected() noexcept {
  phase_ = phase::up;
  failures_ = 0;
}

void link_state::lost(steady_time now) {
  if (phase_ != phase::up) return;
  wanted_ = false; // who used it has failed with it
  phase_ = phase::idle;
  attempt_at_ = now;
}

bool link_state::give_up(steady_time now) {
  if (!wanted_ || phase_ == phase::up || now < patient_until_) return false;
  unwant();
  return true;
}

std::optional<steady_time> link_state::next() const noexcept {
  if (!wanted_ || phase_ == phase::up) return {};
  return phase_ == phase::backing_off ? std::min(attempt_at_, patient_until_) : patient_until_;
}

} // namespace dataflow
