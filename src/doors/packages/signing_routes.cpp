#include "doors/packages/signing_routes.hpp"

namespace strata::doors::packages {

using http::Authorized;
using http::Limits;
using http::Method;
using http::Response;
using kernel::Permission;
using platform::signing::SignatureRecord;
using platform::signing::Signatures;
using platform::signing::Trust;

namespace {

constexpr std::uint64_t kMaxBundle = 8U << 20U;

constexpr std::string_view kKeySchema = R"json({"type":"object","required":["name","pem"],
  "additionalProperties":false,"properties":{"name":{"type":"string","minLength":1,"maxLength":100},
  "pem":{"type":"string","minLength":1,"maxLength":65536}}})json";
constexpr std::string_view kRuleSchema = R"json({"type":"object","required":["required"],
  "additionalProperties":false,"properties":{"required":{"type":"boolean"}}})json";

Json maybe(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

Result<Json> record_json(const SignatureRecord& record) {
  Json bundle;
  if (auto parsed = parse_json(record.bundle)) bundle = *std::move(parsed);
  const bool kept = !record.signed_by.empty();
  return Json::object({{"state", platform::signing::state_name(record.check.state)},
                       {"signer", maybe(record.check.signer)},
                       {"reason", maybe(record.check.reason)},
                       {"added_by", maybe(record.signed_by)},
                       {"added", kept ? Json(to_rfc3339(record.time)) : Json()},
                       {"bundle", bundle}});
}

Json trust_json(const Trust& trust) {
  Json keys = Json::array();
  for (const auto& key : trust.keys) {
    keys.push(Json::object({{"name", key.name},
                            {"kind", key.kind},
                            {"fingerprint", key.fingerprint},
                            {"subject", maybe(key.subject)},
                            {"pem", key.pem},
                            {"added_by", key.added_by},
                            {"added", to_rfc3339(key.added)}}));
  }
  return Json::object({{"required", trust.required}, {"keys", keys}});
}

Result<Json> trust_answer(const Result<Trust>& trust) {
  if (!trust) return trust.error();
  return trust_json(*trust);
}

Task<Result<Json>> get_signature(const Authorized& call, Signatures& signatures) {
  const auto number = version_of(call);
  if (!number) co_return number.error();
  const auto record = co_await signatures.signature(call.caller(), call.param("name"), *number);
  if (!record) co_return record.error();
  co_return record_json(*record);
}

Task<Result<Json>> put_signature(const Authorized& call, Signatures& signatures) {
  const auto number = version_of(call);
  if (!number) co_return number.error();
  auto bundle = co_await call.read_body();
  if (!bundle) co_return std::move(bundle).error();
  const auto record =
      co_await signatures.put(call.caller(), call.param("name"), *number, *std::move(bundle));
  if (!record) co_return record.error();
  co_return record_json(*record);
}

Task<Result<Json>> delete_signature(const Authorized& call, Signatures& signatures) {
  const auto number = version_of(call);
  if (!number) co_return number.error();
  STRATA_CO_TRY(co_await signatures.remove(call.caller(), call.param("name"), *number));
  co_return Json::object();
}

Task<Result<Json>> get_trust(const Authorized& call, Signatures& signatures) {
  co_return trust_answer(co_await signatures.trust(call.caller()));
}

Task<Result<Json>> set_rule(const Authorized& call, Signatures& signatures) {
  const auto body = co_await call.read_json();
  if (!body) co_return body.error();
  co_return trust_answer(co_await signatures.require(call.caller(), body->boolean("required")));
}

Task<Result<Json>> add_key(const Authorized& call, Signatures& signatures) {
  const auto body = co_await call.read_json();
  if (!body) co_return body.error();
  co_return trust_answer(
      co_await signatures.add_key(call.caller(), body->text("name"), body->text("pem")));
}

Task<Result<Json>> remove_key(const Authorized& call, Signatures& signatures) {
  co_return trust_answer(co_await signatures.remove_key(call.caller(), call.param("key")));
}

}  // namespace

std::vector<http::Route> signing_routes(Signatures& signatures, http::ErrorForm error_form) {
  using Call = Task<Result<Json>> (*)(const Authorized&, Signatures&);
  std::vector<http::Route> routes;
  const auto add = [&](Method method, std::string pattern, Permission permission, Limits limits,
                       Call call, http::Doc doc) {
    routes.emplace_back(
        method, "/api/v1" + pattern, permission, limits,
        [&signatures, error_form, call](const Authorized& request) -> Task<Response> {
          const auto answer = co_await call(request, signatures);
          if (!answer) co_return error_form(answer.error(), request.request());
          co_return Response::json(*answer);
        },
        doc);
  };
  const std::string one = "/models/{name}/versions/{version}/signature";
  const Limits bundle{.body = kMaxBundle};
  add(Method::kGet, one, Permission::kModelRead, {}, get_signature,
      http::Doc{"getModelSignature", "Who signed a version, and what that is worth here", "models",
                "", "", ""});
  add(Method::kPut, one, Permission::kModelWrite, bundle, put_signature,
      http::Doc{"putModelSignature", "Keep a signature (a Sigstore bundle) of a version", "models",
                "", "", ""});
  add(Method::kDelete, one, Permission::kModelWrite, {}, delete_signature,
      http::Doc{"deleteModelSignature", "Take a version's signature away", "models", "", "", ""});
  add(Method::kGet, "/signing", Permission::kModelRead, {}, get_trust,
      http::Doc{"getTrust", "Whose signatures the project trusts, and whether it asks for them",
                "models", "", "", ""});
  add(Method::kPut, "/signing", Permission::kProjectAdmin, {}, set_rule,
      http::Doc{"requireSignatures", "Say whether models must be signed", "models", kRuleSchema, "",
                ""});
  add(Method::kPost, "/signing/keys", Permission::kProjectAdmin, {}, add_key,
      http::Doc{"trustKey", "Trust a public key or certificate", "models", kKeySchema, "", ""});
  add(Method::kDelete, "/signing/keys/{key}", Permission::kProjectAdmin, {}, remove_key,
      http::Doc{"distrustKey", "Trust a key or certificate no more", "models", "", "", ""});
  return routes;
}

}  // namespace strata::doors::packages
