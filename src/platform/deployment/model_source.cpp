#include "platform/deployment/model_source.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"

namespace strata::platform::deployment {

std::string ModelRef::to_string() const {
  return alias.empty() ? fmt::format("models:/{}/{}", name, version)
                       : fmt::format("models:/{}@{}", name, alias);
}

Result<ModelRef> ModelRef::parse(std::string_view text) {
  const auto wrong = [&] {
    return invalid("model",
                   fmt::format("model: '{}' is neither models:/NAME@ALIAS nor models:/NAME/VERSION",
                               printable(text)));
  };
  constexpr std::string_view kScheme = "models:/";
  if (!text.starts_with(kScheme)) return wrong();
  text.remove_prefix(kScheme.size());
  ModelRef ref;
  if (const auto at = text.rfind('@'); at != std::string_view::npos) {
    ref.name = text.substr(0, at);
    ref.alias = text.substr(at + 1);
    if (ref.name.empty() || ref.alias.empty() || ref.name.contains('/')) return wrong();
    return ref;
  }
  const auto slash = text.rfind('/');
  if (slash == std::string_view::npos) return wrong();
  ref.name = text.substr(0, slash);
  ref.version = text.substr(slash + 1);
  const bool digits = ref.version.find_first_not_of("0123456789") == std::string::npos;
  if (ref.name.empty() || ref.version.empty() || !digits || ref.name.contains('/')) return wrong();
  return ref;
}

}  // namespace strata::platform::deployment
