#include <dataflow/actors/network/tls.hpp>
#include <dataflow/actors/network/tls_session.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <utility>

namespace dataflow::actors {

namespace {

/// Of at most 16 KiB each: they share calls of the system.
constexpr long several_records = 64 << 10;
constexpr std::size_t most_read = 1 << 30, most_written = 1 << 20; // at once: other connections wait

std::string last_failure() {
  const auto last = ERR_peek_last_error();
  if (last == 0) return "the peer has ended it";
  char text[256];
  ERR_error_string_n(last, text, sizeof text);
  ERR_clear_error();
  return text;
}

int no_passphrase(char*, int, int, void*) { return 0; }

/// Null: there is no memory.
BIO* buffered(int socket) {
  struct freed {
    void operator()(BIO* b) const noexcept { BIO_free(b); }
  };
  std::unique_ptr<BIO, freed> bytes{BIO_new_socket(socket, BIO_NOCLOSE)}, buffer{BIO_new(BIO_f_buffer())};
  if (!bytes || !buffer || BIO_set_buffer_size(buffer.get(), several_records) != 1) return nullptr;
  return BIO_push(buffer.release(), bytes.release());
}

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
  auto* const out = buffered(socket);
  use(out != nullptr, "TLS");
  SSL_set0_wbio(ssl_.get(), out);
  if (which == side::accepts)
    SSL_set_accept_state(ssl_.get());
  else
    SSL_set_connect_state(ssl_.get());
}

bool tls_session::established() const noexcept { return SSL_is_init_finished(ssl_.get()) == 1; }
bool tls_session::wants_write() const noexcept { return SSL_want_write(ssl_.get()) == 1; }

bool tls_session::has_more(std::size_t size) const noexcept {
  if (static_cast<std::size_t>(SSL_pending(ssl_.get())) >= size) return true;
  // Between two reads the buffer begins with the header of a record, the last two bytes of which are its length. One
  // that is there in part goes on when the socket has the rest.
  auto* const in = SSL_get_rbio(ssl_.get());
  unsigned char header[5];
  const auto held = BIO_ctrl_pending(in);
  if (held < sizeof header || BIO_buffer_peek(in, header, sizeof header) != sizeof header) return false;
  return held - sizeof header >= std::size_t{header[3]} * 256 + header[4];
}

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
  const auto s = after(SSL_do_handshake(ssl_.get()));
  // Not before: what comes behind the handshake stays in the socket until somebody reads.
  if (s == state::done)
    if (auto* const in = buffered(SSL_get_fd(ssl_.get()))) SSL_set0_rbio(ssl_.get(), in);
  return s;
}

tls_session::state tls_session::read(void* to, std::size_t size, std::size_t& n) {
  ERR_clear_error();
  const int got = SSL_read(ssl_.get(), to, static_cast<int>(std::min(size, most_read)));
  n = got > 0 ? static_cast<std::size_t>(got) : 0;
  return after(got);
}

tls_session::state tls_session::flush() {
  ERR_clear_error();
  auto* const out = SSL_get_wbio(ssl_.get());
  if (BIO_flush(out) == 1) return state::done;
  if (BIO_should_retry(out)) return state::going_on;
  failure_ = last_failure();
  return state::failed;
}

tls_session::state tls_session::write(const void* from, std::size_t size, std::size_t& n) {
  n = 0;
  if (const auto s = flush(); s != state::done) return s;
  if (unsent_ > 0) {
    n = std::exchange(unsent_, 0);
    return state::done;
  }
  size = std::min(size, most_written);
  std::size_t taken = 0;
  while (taken < size) {
    ERR_clear_error();
    const int put = SSL_write(ssl_.get(), static_cast<const char*>(from) + taken, static_cast<int>(size - taken));
    const auto s = after(put);
    if (s == state::failed) return s;
    if (s == state::going_on) break;
    taken += static_cast<std::size_t>(put);
  }
  const auto s = flush();
  (s == state::done ? n : unsent_) = taken;
  return s;
}

} // namespace dataflow::actors
