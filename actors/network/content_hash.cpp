#include <dataflow/actors/network/content_hash.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>
#include <openssl/evp.h>

namespace dataflow::actors {

struct content_hasher::state {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~state() { EVP_MD_CTX_free(context); }
};

content_hasher::content_hasher() : state_(std::make_unique<state>()) {
  if (!state_->context || EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) != 1)
    throw error{errc::internal, "SHA-256 is not available"};
}
content_hasher::~content_hasher() = default;

void content_hasher::add(std::string_view bytes) { EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()); }

std::string content_hasher::finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(state_->context, digest, &size);
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text.push_back(digits[digest[i] >> 4]);
    text.push_back(digits[digest[i] & 15]);
  }
  return text;
}

std::string content_hash(std::string_view bytes) {
  content_hasher h;
  h.add(bytes);
  return h.finish();
}

bool is_content_hash(std::string_view text) noexcept {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

} // namespace dataflow::actors
