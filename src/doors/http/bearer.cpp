#include "base/bytes.hpp"
#include "base/text.hpp"
#include "doors/http/http.hpp"

namespace strata::http {

namespace {
// Names the project of a call; without it the token's own counts.
constexpr std::string_view kProjectHeader = "Strata-Project";
}  // namespace

// RFC 6750 bearer tokens, and RFC 7617 basic credentials with the token as password; any user name
// is accepted.
Task<Result<kernel::Caller>> Door::authenticate(Request& request,
                                                const kernel::Identity& identity) {
  const auto field = request.headers.find("Authorization");
  if (!field) {
    co_return Error(Code::kUnauthenticated,
                    "credentials are missing: send 'Authorization: Bearer TOKEN' or basic "
                    "credentials with the token as password");
  }
  const std::string project = request.headers.get(kProjectHeader);
  const std::size_t space = field->find(' ');
  const std::string_view scheme = field->substr(0, space);
  const std::string_view rest =
      space == std::string_view::npos ? std::string_view() : trim(field->substr(space));
  if (equal_ignoring_case(scheme, "Bearer")) co_return identity.authenticate(rest, project);
  if (equal_ignoring_case(scheme, "Basic")) {
    const auto plain = from_base64(rest);
    const std::size_t colon = plain ? plain->find(':') : std::string::npos;
    if (colon == std::string::npos)
      co_return Error(Code::kUnauthenticated, "the basic credentials cannot be read");
    co_return identity.authenticate(std::string_view(*plain).substr(colon + 1), project);
  }
  co_return Error(
      Code::kUnauthenticated,
      fmt::format("the authorization scheme '{}' is not accepted here; use Bearer or Basic",
                  printable(scheme, 30)));
}

}  // namespace strata::http
