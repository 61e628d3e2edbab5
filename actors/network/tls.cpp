#include <dataflow/actors/network/tls.hpp>
#include <dataflow/config/configuration.hpp>
#include <dataflow/util/error.hpp>
#include <dataflow/util/file_contents.hpp>

#include <caf/actor_system_config.hpp>

#include <csignal>
#include <memory>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <utility>
#include <vector>

namespace dataflow::actors {

namespace {

template <class T, void (*Free)(T*)>
struct freed {
  void operator()(T* p) const noexcept { Free(p); }
};
void free_bio(BIO* b) { BIO_free(b); }
using bio_ptr = std::unique_ptr<BIO, freed<BIO, free_bio>>;
using x509_ptr = std::unique_ptr<X509, freed<X509, X509_free>>;
using key_ptr = std::unique_ptr<EVP_PKEY, freed<EVP_PKEY, EVP_PKEY_free>>;
using store_ptr = std::unique_ptr<X509_STORE, freed<X509_STORE, X509_STORE_free>>;
using context_ptr = std::unique_ptr<X509_STORE_CTX, freed<X509_STORE_CTX, X509_STORE_CTX_free>>;

constexpr auto advice = "make new ones with tools/make-certificates";

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  ERR_clear_error();
  throw error{errc::unsafe_configuration, "the file '" + path + "' " + why, advice};
}

bio_ptr bytes_of(const std::string& contents) {
  return bio_ptr{BIO_new_mem_buf(contents.data(), static_cast<int>(contents.size()))};
}

std::vector<x509_ptr> certificates_of(const std::string& path, file_system& files) {
  const auto contents = read_file_contents(path, &files);
  const auto in = bytes_of(contents);
  ERR_clear_error();
  std::vector<x509_ptr> all;
  while (auto* one = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr))
    all.emplace_back(one);
  // The end of the file is told like a mistake; a certificate that is broken behind good ones is a mistake.
  const auto last = ERR_peek_last_error();
  if (all.empty() || (last != 0 && ERR_GET_REASON(last) != PEM_R_NO_START_LINE))
    refuse(path, "holds no certificate that can be read (PEM)");
  ERR_clear_error();
  return all;
}

int no_passphrase(char*, int, int, void*) { return 0; }

key_ptr key_of(const std::string& path, file_system& files) {
  const auto contents = read_file_contents(path, &files);
  const auto in = bytes_of(contents);
  key_ptr key{PEM_read_bio_PrivateKey(in.get(), nullptr, no_passphrase, nullptr)};
  if (!key) refuse(path, "holds no private key that can be read (PEM, without a passphrase)");
  return key;
}

} // namespace

tls_files tls_files::from(const configuration& settings, file_system& files) {
  if (!settings.boolean("security.ssl.internal.enabled")) return {};
  tls_files tls;
  using named = std::pair<const char*, std::string*>;
  for (const auto& [key, path] :
       {named{"security.ssl.internal.certificate", &tls.certificate}, named{"security.ssl.internal.key", &tls.key},
        named{"security.ssl.internal.authority", &tls.authority}}) {
    *path = settings.text(key);
    if (path->empty())
      throw error{errc::invalid_option, std::string{key} + " is not set, and security.ssl.internal.enabled is true",
                  "name the node's PEM files; tools/make-certificates makes them"};
  }
  check(tls, files);
  return tls;
}

void check(const tls_files& tls, file_system& files) {
  const auto chain = certificates_of(tls.certificate, files);
  const auto authority = certificates_of(tls.authority, files);
  const auto key = key_of(tls.key, files);
  if (X509_check_private_key(chain[0].get(), key.get()) != 1)
    refuse(tls.key, "is not the key of the certificate '" + tls.certificate + "'");
  const store_ptr store{X509_STORE_new()};
  for (auto& a : authority)
    X509_STORE_add_cert(store.get(), a.get());
  const std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> between{sk_X509_new_null(),
                                                                           [](STACK_OF(X509) * s) { sk_X509_free(s); }};
  for (std::size_t i = 1; i < chain.size(); ++i)
    sk_X509_push(between.get(), chain[i].get());
  const context_ptr context{X509_STORE_CTX_new()};
  if (!store || !between || !context ||
      X509_STORE_CTX_init(context.get(), store.get(), chain[0].get(), between.get()) != 1)
    refuse(tls.certificate, "cannot be verified");
  if (X509_verify_cert(context.get()) != 1)
    refuse(tls.certificate, std::string{"is not accepted by the authority '"} + tls.authority +
                                "': " + X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
  ERR_clear_error();
}

void check_listener(std::string_view address, std::string_view key, const tls_files& tls) {
  if (tls.enabled() || address == "localhost" || address == "::1" || address.starts_with("127.")) return;
  throw error{errc::unsafe_configuration,
              std::string{key} + " is " + std::string{address} +
                  ": without TLS everybody who reaches that port could run code here",
              "set security.ssl.internal.enabled and the node's files, or listen on 127.0.0.1"};
}

void use_tls(caf::actor_system_config& config, const tls_files& tls) {
  config.openssl_certificate = tls.certificate;
  config.openssl_key = tls.key;
  config.openssl_cafile = tls.authority;
  // OpenSSL writes to sockets whose peers may be gone.
  struct sigaction now {};
  if (::sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) ::signal(SIGPIPE, SIG_IGN);
}

} // namespace dataflow::actors
