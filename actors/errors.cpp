#include <dataflow/actors/errors.hpp>

#include <caf/all.hpp>

namespace dataflow::actors {

namespace {
constexpr caf::atom_value category = caf::atom("dataflow");
}

caf::error to_caf(const error& e) {
  return caf::error{static_cast<std::uint8_t>(e.code()), category, caf::make_message(e.cause(), e.advice())};
}

error from_caf(const caf::error& e, std::string_view subject) {
  if (e.category() == category) {
    auto code = static_cast<errc>(e.code());
    if (e.context().match_elements<std::string, std::string>())
      return error{code, e.context().get_as<std::string>(0), e.context().get_as<std::string>(1)};
    return error{code, std::string{subject}};
  }
  std::string why = "ended without a reason";
  if (e.category() == caf::atom("exit")) {
    switch (static_cast<caf::exit_reason>(e.code())) {
    case caf::exit_reason::kill:
      why = "was killed";
      break;
    case caf::exit_reason::user_shutdown:
      why = "was shut down";
      break;
    case caf::exit_reason::unhandled_exception:
      why = "ended by an exception";
      break;
    case caf::exit_reason::remote_link_unreachable:
      why = "is out of reach";
      break;
    default:
      why = "ended (exit reason " + std::to_string(e.code()) + ")";
    }
  } else if (e) {
    why = "ended (error " + std::to_string(e.code()) + " of " + caf::to_string(e.category()) + ")";
  }
  return error{errc::component_lost, std::string{subject} + " " + why};
}

void keep_exception_texts(caf::scheduled_actor& self) {
  self.set_exception_handler([](std::exception_ptr& e) -> caf::error {
    try {
      std::rethrow_exception(e);
    } catch (...) {
      return to_caf(current_error(errc::internal));
    }
  });
}

} // namespace dataflow::actors
