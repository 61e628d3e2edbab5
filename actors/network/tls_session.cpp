#include <dataflow/actors/network/tls.hpp>
#include <dataflow/actors/network/tls_session.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace dataflow::actors {

namespace {

constexpr std::size_t most_at_once = 1 << 30;

std::string last_failure() {
  const auto last = ERR_peek_last_error();
  if (last == 0) return "the peer has ended it";
  char text[256];
  ERR_error_string_n(last, text, sizeof text);
  ERR_clear_error();
  return text;
}

int no_passphrase(char*, int, int, void*) { return 0; }

struct context_freed {
  void operator()(SSL_CTX* c) const noexcept { SSL_CTX_free(c); }
};

} // namespace

void tls_session::freed::operator()(ssl_st* s) const noexcept { SSL_free(s); }

tls_session::tls_session(const tls_files& files, int socket, side which) {
  ERR_clear_error();
  const std::unique_ptr<SSL_CTX, context_freed> context{SSL_CTX_new(TLS_method())};
  const auto use = [](bool fine, const std::string& what) {
    if (!fine)
      throw error{errc::unsafe_configuration, "'" + what + "' cannot be used: " + last_failure(),
                  "look at the files of security.ssl.internal.*"};
  };
  auto* c = context.get();
  use(c != nullptr && SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) == 1, "TLS");
  SSL_CTX_set_default_passwd_cb(c, no_passphrase);
  use(SSL_CTX_use_certificate_chain_file(c, files.certificate.c_str()) == 1, files.certificate);
  use(SSL_CTX_use_PrivateKey_file(c, files.key.c_str(), SSL_FILETYPE_PEM) == 1, files.key);
  use(SSL_CTX_load_verify_locations(c, files.authority.c_str(), nullptr) == 1, files.authority);
  SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(c, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
  ssl_.reset(SSL_new(c));
  use(ssl_ && SSL_set_fd(ssl_.get(), socket) == 1, "TLS");
  if (which == side::accepts)
    SSL_set_accept_state(ssl_.get());
  else
    SSL_set_connect_state(ssl_.get());
}

bool tls_session::established() const noexcept { return SSL_is_init_finished(ssl_.get()) == 1; }
bool tls_session::wants_write() const noexcept { return SSL_want_write(ssl_.get()) == 1; }
std::size_t tls_session::pending() const noexcept { return static_cast<std::size_t>(SSL_pending(ssl_.get())); }

tls_session::state tls_session::after(int result) {
  if (result > 0) return state::done;
  const auto why = SSL_get_error(ssl_.get(), result);
  if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return state::going_on;
  failure_ = last_failure();
  if (const auto verdict = SSL_get_verify_result(ssl_.get()); verdict != X509_V_OK)
    failure_ += std::string{" ("} + X509_verify_cert_error_string(verdict) + ")";
  return state::failed;
}

tls_session::state tls_session::shake_hands() {
  ERR_clear_error(); // one that is left of another connection would be taken for ours
  return after(SSL_do_handshake(ssl_.get()));
}

tls_session::state tls_session::read(void* to, std::size_t size, std::size_t& n) {
  ERR_clear_error();
  const int got = SSL_read(ssl_.get(), to, static_cast<int>(std::min(size, most_at_once)));
  n = got > 0 ? static_cast<std::size_t>(got) : 0;
  return after(got);
}

tls_session::state tls_session::write(const void* from, std::size_t size, std::size_t& n) {
  ERR_clear_error();
  const int put = SSL_write(ssl_.get(), from, static_cast<int>(std::min(size, most_at_once)));
  n = put > 0 ? static_cast<std::size_t>(put) : 0;
  return after(put);
}

} // namespace dataflow::actors
