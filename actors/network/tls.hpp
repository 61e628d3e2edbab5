/// Mutual TLS on the connections of a cluster: which files, and whether they are what they should be.
///
/// Both sides of every connection show a certificate that the cluster's own authority has signed. Names in certificates
/// are not looked at: whoever holds a signed one is a full member. Files are read again at each new connection, so new
/// ones take over when they are renamed into place; connections that stand are not touched.
/// Threading: pure functions on files. Errors: invalid_option naming the key when one is missing, file_not_found,
/// permission_denied and the like when a file cannot be read, unsafe_configuration naming the file when it is not what
/// it should be: the process must not start then. A broken file met later refuses connections.
#pragma once

#include <caf/fwd.hpp>

#include <string>
#include <string_view>

namespace dataflow {
class configuration;
class file_system;
} // namespace dataflow

namespace dataflow::actors {

/// Paths of PEM files.
struct tls_files {
  std::string certificate; ///< of this node, with what is between it and the authority
  std::string key;         ///< of the certificate, without a passphrase
  std::string authority;   ///< certificates of those who may sign
  bool enabled() const noexcept { return !certificate.empty(); }

  /// From security.ssl.internal.*; nothing when it is not enabled. Calls check().
  static tls_files from(const configuration& settings, file_system& files);
};

/// They can be read, belong together, and are valid now.
void check(const tls_files& tls, file_system& files);
/// Listening beyond this machine needs TLS. Throws error{errc::unsafe_configuration} naming `key`, where `address`
/// stands.
void check_listener(std::string_view address, std::string_view key, const tls_files& tls);
/// Before an actor system is made. A process that did nothing about SIGPIPE ignores it from now on. REQUIRES: check()
/// has passed.
void use_tls(caf::actor_system_config& config, const tls_files& tls);

} // namespace dataflow::actors
