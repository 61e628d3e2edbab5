/// Objects of a checkpoint in memory, for tests of their formats.
#pragma once

#include <dataflow/checkpoint/stored_object.hpp>
#include <dataflow/util/error.hpp>

#include <map>
#include <string>

namespace dataflow::test {

/// Keeps what is written under a name, and opens it.
class object_shelf {
public:
  class writer final : public object_writer {
  public:
    writer(object_shelf& shelf, object_scope scope, std::string name)
        : shelf_(shelf), scope_(scope), name_(std::move(name)) {}
    void append(std::string_view bytes) override { bytes_.append(bytes); }
    std::uint64_t size() const noexcept override { return bytes_.size(); }
    object_handle finish() override {
      object_handle h{scope_, name_, bytes_.size(), stored_checksum(bytes_), {}};
      shelf_.objects[name_] = std::move(bytes_);
      return h;
    }

  private:
    object_shelf& shelf_;
    object_scope scope_;
    std::string name_, bytes_;
  };
  writer create(std::string name, object_scope scope = object_scope::exclusive) {
    return {*this, scope, std::move(name)};
  }
  object_opener opener() const {
    return [this](const object_handle& h) {
      if (h.scope == object_scope::inlined) return open_inlined(h);
      auto found = objects.find(h.name);
      if (found == objects.end()) throw error{errc::file_not_found, "no object '" + h.name + "'"};
      return open_inlined(inlined_object(found->second));
    };
  }

  std::map<std::string, std::string> objects;
};

} // namespace dataflow::test
