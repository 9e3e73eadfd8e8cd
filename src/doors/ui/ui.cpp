#include "doors/ui/ui.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "doors/ui/assets.hpp"
#include "wire/content_coding.hpp"

namespace strata::doors::ui {

using http::Authorized;
using http::Method;
using http::Request;
using http::Response;
using http::Route;
using kernel::Permission;

namespace {

// No inline script or style, and no other host: what a user stored cannot run here, and nothing
// leaves.
constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action "
    "'none'";

constexpr std::string_view kNotBuilt =
    "This server was built without its browser UI. All APIs work.\n"
    "To add the UI: run `npm ci && npm run build` in web/, then build the server again.\n";

// Every page of the UI. Below /endpoints only one segment is a page: the rest are calls of models.
constexpr std::string_view kPages[] = {"/",
                                       "/sign-in",
                                       "/kit",
                                       "/lake",
                                       "/lake/{rest+}",
                                       "/sql",
                                       "/sql/{rest+}",
                                       "/runs",
                                       "/runs/{rest+}",
                                       "/pipelines",
                                       "/pipelines/{rest+}",
                                       "/models",
                                       "/models/{rest+}",
                                       "/endpoints",
                                       "/endpoints/{name}",
                                       "/predictions/{id}",
                                       "/monitors",
                                       "/monitors/{name}",
                                       "/releases",
                                       "/releases/{id}",
                                       "/features",
                                       "/features/{kind}/{name}",
                                       "/flags",
                                       "/flags/{name}",
                                       "/experiments",
                                       "/experiments/{name}",
                                       "/admin",
                                       "/admin/{rest+}",
                                       "/lineage",
                                       "/lineage/{rest+}"};

const Asset* find_asset(std::string_view path) {
  const auto all = assets();
  const auto at = std::ranges::find(all, path, &Asset::path);
  return at == all.end() ? nullptr : &*at;
}

bool accepts(const Request& request, std::string_view coding) {
  return wire::accepts_coding(request.headers.get("Accept-Encoding"), coding);
}

void protect(Response& response) {
  response.headers.set("Content-Security-Policy", std::string(kContentSecurityPolicy));
  response.headers.set("X-Content-Type-Options", "nosniff");
  response.headers.set("Referrer-Policy", "no-referrer");
  response.headers.set("Cross-Origin-Opener-Policy", "same-origin");
}

// In the smallest form that the request takes.
Response content_of(const Asset& asset, const Request& request, int status) {
  if (!asset.brotli.empty() && accepts(request, "br")) {
    Response response = Response::text(status, std::string(asset.brotli), asset.type);
    response.headers.set("Content-Encoding", "br");
    return response;
  }
  if (!asset.gzip.empty() && accepts(request, "gzip")) {
    Response response = Response::text(status, std::string(asset.gzip), asset.type);
    response.headers.set("Content-Encoding", "gzip");
    return response;
  }
  return Response::text(status, std::string(asset.identity), asset.type);
}

Response asset_response(const Asset& asset, const Request& request, std::string_view caching) {
  const std::string tag = fmt::format("\"{}\"", asset.digest.substr(0, 32));
  const bool known = request.headers.get("If-None-Match") == tag;
  Response response = known ? Response::empty(304) : content_of(asset, request, 200);
  response.headers.set("ETag", tag);
  response.headers.set("Vary", "Accept-Encoding");
  response.headers.set("Cache-Control", std::string(caching));
  protect(response);
  return response;
}

Task<Response> page(const Authorized& call) {
  const Asset* index = find_asset("index.html");
  if (index != nullptr) co_return asset_response(*index, call.request(), "no-cache");
  Response response = Response::text(200, std::string(kNotBuilt));
  response.headers.set("Cache-Control", "no-store");
  protect(response);
  co_return std::move(response);
}

Task<Response> hashed_asset(const Authorized& call) {
  const std::string path = "assets/" + call.param("name");
  const Asset* asset = find_asset(path);
  if (asset != nullptr) {
    co_return asset_response(*asset, call.request(), "public, max-age=31536000, immutable");
  }
  Response response = Response::text(
      404, fmt::format("the UI has no file '{}'; reload the page, the server may be newer\n",
                       printable(path)));
  response.headers.set("Cache-Control", "no-store");
  protect(response);
  co_return std::move(response);
}

Task<Response> favicon(const Authorized& call) {
  const Asset* icon = find_asset("favicon.svg");
  if (icon != nullptr) co_return asset_response(*icon, call.request(), "public, max-age=86400");
  co_return Response::empty(204);
}

}  // namespace

Response UiDoor::error(const Error& error, const Request& request) const {
  const Asset* index = find_asset("index.html");
  const int status = http::status_of(error.code);
  Response response = index != nullptr && error.code == Code::kNotFound && http::wants_page(request)
                          ? content_of(*index, request, status)
                          : Response::text(status, fmt::format("{} (request {})\n", error.message,
                                                               request.request_id));
  response.headers.set("Cache-Control", "no-store");
  protect(response);
  return response;
}

std::vector<Route> UiDoor::routes() {
  std::vector<Route> routes;
  for (const auto pattern : kPages) {
    routes.emplace_back(Method::kGet, std::string(pattern), Permission::kPublic, http::Limits{},
                        page);
  }
  routes.emplace_back(Method::kGet, "/assets/{name+}", Permission::kPublic, http::Limits{},
                      hashed_asset);
  routes.emplace_back(Method::kGet, "/favicon.svg", Permission::kPublic, http::Limits{}, favicon);
  routes.emplace_back(Method::kGet, "/favicon.ico", Permission::kPublic, http::Limits{}, favicon);
  return routes;
}

}  // namespace strata::doors::ui
