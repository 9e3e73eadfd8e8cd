#include "doors/s3/answer.hpp"
#include "doors/s3/operations.hpp"
#include "doors/s3/request.hpp"

namespace strata::doors::s3 {

using http::Authorized;
using http::Response;

Answer put_object(const Authorized& request, Lake& lake) {
  const auto name = object_of(request);
  if (!name) co_return name.error();
  storage::lake::PutOptions options;
  auto facts = facts_of(request.request());
  if (!facts) co_return std::move(facts).error();
  auto tags = tags_of(request.request());
  if (!tags) co_return std::move(tags).error();
  auto expected = expected_of(request.request());
  if (!expected) co_return std::move(expected).error();
  options.facts = *std::move(facts);
  options.tags = *std::move(tags);
  options.expected = *std::move(expected);
  options.when = conditions_of(request.request());
  const auto stored =
      co_await lake.put(request.caller(), *name, request.body(), std::move(options));
  if (!stored) co_return stored.error();
  Response response = Response::empty(200);
  response.headers.set("ETag", quoted(stored->etag));
  if (stored->checksum) add_checksum(response, *stored->checksum);
  co_return response;
}

}  // namespace strata::doors::s3
