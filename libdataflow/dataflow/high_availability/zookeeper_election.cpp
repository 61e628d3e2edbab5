#include <dataflow/high_availability/zookeeper_election.hpp>
#include <dataflow/util/bytes.hpp>
#include <dataflow/util/random.hpp>

#include <algorithm>
#include <utility>

namespace dataflow {

namespace {

constexpr std::size_t digits = 10; // of the number that ZooKeeper appends

std::string hex(std::uint64_t value) {
  std::string out;
  for (int shift = 60; shift >= 0; shift -= 4)
    out.push_back("0123456789abcdef"[value >> shift & 15]);
  return out;
}

std::string encode(const leader_information& who, const std::string& latch) {
  byte_writer out;
  out.fixed(std::uint8_t{1}); // version
  out.fixed(who.token);
  out.text(who.address);
  out.text(latch);
  return out.take();
}

std::string_view number_of(std::string_view latch) {
  return latch.substr(latch.size() - std::min(latch.size(), digits));
}

error replaced(leader_token token) {
  return {errc::stale_message, "the leader with token " + std::to_string(token) + " was replaced",
          "it must stop; nothing of what it asked for was stored"};
}

} // namespace

std::optional<zookeeper_leadership> read_leadership(zookeeper_client& client, const std::string& directory) {
  const auto node = client.get(directory + "/leader/current");
  if (!node) return std::nullopt;
  try {
    byte_reader in{node->data};
    zookeeper_leadership out;
    if (in.fixed<std::uint8_t>() > 1)
      throw error{errc::newer_format, "'" + directory + "/leader/current' was written by a later version",
                  "use that version"};
    out.who.token = in.fixed<leader_token>();
    out.who.address = in.text();
    out.latch = in.text();
    out.version = node->version;
    return out;
  } catch (const error& e) {
    if (e.code() != errc::malformed_record) throw;
    throw error{errc::corrupt_state, "'" + directory + "/leader/current' in ZooKeeper is not ours: " + e.cause(),
                "set high-availability.cluster-id to another name"};
  }
}

zookeeper_leader_election::zookeeper_leader_election(std::shared_ptr<zookeeper_client> client, const clock& time,
                                                     std::string directory, std::string address, std::uint64_t seed)
    : client_(std::move(client)), clock_(time), directory_(std::move(directory)),
      latches_(directory_ + "/leader/latch"), current_(directory_ + "/leader/current"), address_(std::move(address)),
      name_(hex(random_source{seed}())) {}

zookeeper_leader_election::~zookeeper_leader_election() = default;

election_change zookeeper_leader_election::poll() {
  if (resigned_) return {};
  const auto before = clock_.now();
  try {
    const auto change = token_ != 0 ? stay() : campaign();
    heard_ = before;
    return change;
  } catch (const error& e) {
    if (token_ == 0 || clock_.now() - heard_ < client_->session_timeout() * 2 / 3) return {};
    return lose(e.within("the leader has lost its session"));
  }
}

/// Our node, also one whose making we have not been told of. False when there is none.
bool zookeeper_leader_election::find_latch() {
  latch_.clear();
  for (const auto& child : client_->children(latches_))
    if (child.starts_with(name_)) latch_ = child;
  return !latch_.empty();
}

election_change zookeeper_leader_election::campaign() {
  if (!std::exchange(prepared_, true)) {
    try {
      client_->make_path(latches_);
    } catch (const error&) {
      prepared_ = false;
      throw;
    }
  }
  if (!find_latch()) {
    const auto made = client_->create_ephemeral_sequential(latches_ + "/" + name_ + "-", address_);
    latch_ = made.substr(latches_.size() + 1);
  }
  incarnation_ = client_->incarnation();
  for (const auto& other : client_->children(latches_))
    if (number_of(other) < number_of(latch_)) return {};
  const auto ours = client_->get(latches_ + "/" + latch_);
  if (!ours) return {}; // the session has just expired
  const auto token = static_cast<leader_token>(ours->created);
  const auto last = read_leadership(*client_, directory_);
  if (last && last->who.token >= token) { // we have led with it and lost: the next one is new
    client_->remove(latches_ + "/" + latch_);
    return {};
  }
  using kind = zookeeper_client::change::kind;
  const auto data = encode({token, address_}, latch_);
  const auto done = client_->change_all({{kind::check, latches_ + "/" + latch_, {}, -1},
                                         last ? zookeeper_client::change{kind::set, current_, data, last->version}
                                              : zookeeper_client::change{kind::create, current_, data, -1}});
  if (done.what != zookeeper_client::outcome::done) return {};
  token_ = token;
  return {election_change::kind::granted, token_, {}};
}

election_change zookeeper_leader_election::stay() {
  const auto last = read_leadership(*client_, directory_);
  if (!last || last->who.token != token_) return lose(replaced(token_));
  if (client_->incarnation() != incarnation_ || !client_->get(latches_ + "/" + latch_))
    return lose({errc::stale_message, "the session of the leader with token " + std::to_string(token_) + " has expired",
                 "it was silent for longer than high-availability.zookeeper.client.session-timeout"});
  return {};
}

election_change zookeeper_leader_election::lose(error why) {
  const auto token = std::exchange(token_, 0);
  // A latch that is still there would lead again with the same token: the next one is new.
  try {
    if (!latch_.empty()) client_->remove(latches_ + "/" + latch_);
  } catch (const error&) { // its session is gone, or will be
  }
  latch_.clear();
  return {election_change::kind::lost, token, std::move(why)};
}

void zookeeper_leader_election::resign() {
  if (std::exchange(resigned_, true)) return;
  token_ = 0;
  try {
    if (find_latch()) client_->remove(latches_ + "/" + latch_);
  } catch (const error&) { // it ends with the session
  }
}

std::optional<leader_information> zookeeper_leader_election::leader() {
  const auto last = read_leadership(*client_, directory_);
  if (!last || !client_->get(latches_ + "/" + last->latch)) return std::nullopt;
  return last->who;
}

zookeeper_store::zookeeper_store(std::shared_ptr<zookeeper_client> client, std::string directory)
    : client_(std::move(client)), directory_(std::move(directory)), values_(directory_ + "/values") {}

std::string zookeeper_store::path_of(const std::string& key) const {
  std::string out = values_ + "/";
  for (const char c : key)
    c == '/' ? out += "%2F" : c == '%' ? out += "%25" : out += c;
  return out;
}

bool zookeeper_store::change(leader_token token, const std::string& key, std::string_view value, how what) {
  using kind = zookeeper_client::change::kind;
  using outcome = zookeeper_client::outcome;
  const auto path = path_of(key);
  for (;;) {
    const auto last = read_leadership(*client_, directory_);
    if (token == 0 || !last || last->who.token != token) throw replaced(token);
    const bool there = client_->get(path).has_value();
    const zookeeper_client::change fence{kind::check, directory_ + "/leader/current", {}, last->version};
    if (what == how::absent && there) return false;
    if (what == how::remove && !there) return false;
    const auto done = client_->change_all({fence,
                                           {what == how::remove ? kind::remove
                                            : there             ? kind::set
                                                                : kind::create,
                                            path, std::string{what == how::remove ? std::string_view{} : value}, -1}});
    if (done.what == outcome::done) return true;
    if (done.what == outcome::no_node && done.at == 1 && !there) client_->make_path(values_);
    // Else the leader has changed meanwhile, which is seen above, or the node has.
  }
}

bool zookeeper_store::put_if_absent(leader_token token, const std::string& key, std::string_view value) {
  return change(token, key, value, how::absent);
}

void zookeeper_store::put(leader_token token, const std::string& key, std::string_view value) {
  change(token, key, value, how::replace);
}

void zookeeper_store::remove(leader_token token, const std::string& key) { change(token, key, {}, how::remove); }

std::optional<std::string> zookeeper_store::get(const std::string& key) {
  auto node = client_->get(path_of(key));
  if (!node) return std::nullopt;
  return std::move(node->data);
}

std::vector<std::string> zookeeper_store::list(const std::string& prefix) {
  std::vector<std::string> out;
  for (const auto& name : client_->children(values_)) {
    std::string key;
    for (std::size_t i = 0; i < name.size(); ++i) {
      if (name[i] == '%' && i + 2 < name.size()) {
        key += name.compare(i, 3, "%2F") == 0 ? '/' : '%';
        i += 2;
      } else {
        key += name[i];
      }
    }
    if (key.starts_with(prefix)) out.push_back(std::move(key));
  }
  std::sort(out.begin(), out.end());
  return out;
}

} // namespace dataflow
