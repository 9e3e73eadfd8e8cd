#include "doors/packages/package_routes.hpp"

#include <algorithm>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::doors::packages {

using http::Authorized;
using http::Response;
using platform::models::Models;

namespace {

// The first flavor that the server runs and the package has.
Json served_by(const Json& manifest, const std::vector<std::string>& flavors) {
  const Json& has = manifest["runtime"]["flavors"];
  for (const auto& flavor : flavors) {
    if (std::ranges::find(has.as_array(), Json(flavor)) != has.as_array().end()) return flavor;
  }
  return {};
}

Task<Result<Json>> package_of(const Authorized& call, Models& models,
                              const std::vector<std::string>& flavors) {
  const auto number = version_of(call);
  if (!number) co_return number.error();
  const std::string name = call.param("name");
  const auto found = co_await models.manifest(call.caller(), name, *number);
  if (!found) co_return found.error();
  auto manifest = parse_json(found->text);
  if (!manifest) co_return manifest.error().wrap("the package's manifest cannot be read");
  const Json engine = served_by(*manifest, flavors);
  co_return Json::object({{"name", name},
                          {"version", *number},
                          {"manifest_digest", found->digest},
                          {"served_by", engine},
                          {"manifest", *std::move(manifest)}});
}

}  // namespace

Result<std::int64_t> version_of(const Authorized& call) {
  const std::string text = call.param("version");
  if (const auto number = to_int(text)) return *number;
  return invalid("version",
                 fmt::format("version: '{}' is no number of a version", printable(text)));
}

std::vector<http::Route> package_routes(Models& models, std::vector<std::string> flavors,
                                        http::ErrorForm error_form) {
  std::vector<http::Route> routes;
  routes.emplace_back(
      http::Method::kGet, "/api/v1/models/{name}/versions/{version}/package",
      kernel::Permission::kModelRead, http::Limits{},
      [&models, flavors = std::move(flavors),
       error_form](const Authorized& call) -> Task<Response> {
        const auto answer = co_await package_of(call, models, flavors);
        if (!answer) co_return error_form(answer.error(), call.request());
        co_return Response::json(*answer);
      },
      http::Doc{"getModelPackage", "What a version is made of, and what serves it here", "models",
                "", "", ""});
  return routes;
}

}  // namespace strata::doors::packages
