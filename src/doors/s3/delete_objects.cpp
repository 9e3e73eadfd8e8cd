#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "doors/s3/answer.hpp"
#include "doors/s3/operations.hpp"
#include "doors/s3/request.hpp"

namespace strata::doors::s3 {

using http::Authorized;
using http::Response;
using storage::lake::Conditions;
using storage::lake::Removal;

namespace {

constexpr std::uint64_t kMaxBody = 2 << 20;
constexpr std::size_t kMaxKeys = 1000;

// A condition that cannot be read must not pass for one that was not made.
Result<std::uint64_t> size_of(std::string_view text) {
  const auto size = to_int(trim(text));
  if (size && *size >= 0) return static_cast<std::uint64_t>(*size);
  return Error(Code::kInvalidArgument, fmt::format("'{}' is no size in bytes", printable(text)),
               "size");
}

Result<Instant> time_of(std::string_view text) {
  if (const auto time = parse_date(trim(text))) return *time;
  return Error(
      Code::kInvalidArgument,
      fmt::format("'{}' is no time such as 'Sun, 22 Nov 2026 15:04:05 GMT'", printable(text)),
      "modified");
}

Result<Conditions> removal_conditions(const http::Request& request) {
  auto when = conditions_of(request);
  if (const auto sent = request.headers.find("x-amz-if-match-size")) {
    const auto size = size_of(*sent);
    if (!size) return size.error();
    when.if_size = *size;
  }
  if (const auto sent = request.headers.find("x-amz-if-match-last-modified-time")) {
    const auto time = time_of(*sent);
    if (!time) return time.error();
    when.if_modified_at = *time;
  }
  return when;
}

// An <Object> of the list.
struct Target {
  Removal removal;
  std::optional<std::string> version;
  Status outcome;
};

Error malformed(std::string message) {
  return s3_error(Code::kMalformed, "MalformedXML", std::move(message));
}

Status add_field(const wire::XmlElement& field, Target& target) {
  auto& when = target.removal.when;
  if (field.name == "Key") {
    target.removal.key = field.text;
  } else if (field.name == "VersionId") {
    target.version = trim(field.text);
  } else if (field.name == "ETag") {
    when.if_match = trim(field.text);
  } else if (field.name == "Size") {
    const auto size = size_of(field.text);
    if (!size) return malformed("<Size>: " + size.error().message);
    when.if_size = *size;
  } else if (field.name == "LastModifiedTime") {
    const auto time = time_of(field.text);
    if (!time) return malformed("<LastModifiedTime>: " + time.error().message);
    when.if_modified_at = *time;
  } else {
    return malformed(fmt::format("<{}> is no part of an <Object>", printable(field.name)));
  }
  return {};
}

Result<Target> target_of(const wire::XmlElement& element) {
  Target target;
  bool keyed = false;
  for (const auto& field : element.children) {
    if (element.find(field.name) != &field)
      return malformed(fmt::format("an <Object> has two <{}>", printable(field.name)));
    STRATA_TRY(add_field(field, target));
    keyed = keyed || field.name == "Key";
  }
  if (!keyed) return malformed("an <Object> has no <Key>");
  if (target.version) target.outcome = check_version(*target.version);
  return target;
}

struct Order {
  std::vector<Target> targets;
  bool quiet = false;
};

Result<Order> order_of(const wire::XmlElement& body) {
  Order order;
  for (const auto& child : body.children) {
    if (child.name == "Quiet") {
      order.quiet = trim(child.text) == "true";
    } else if (child.name == "Object") {
      auto target = target_of(child);
      if (!target) return std::move(target).error();
      order.targets.push_back(*std::move(target));
    } else {
      return malformed(fmt::format("<{}> is no part of <Delete>", printable(child.name)));
    }
  }
  const auto count = order.targets.size();
  if (count == 0 || count > kMaxKeys)
    return malformed(fmt::format("{} keys; one request removes 1 to {}", count, kMaxKeys));
  return order;
}

void add_outcome(wire::XmlWriter& writer, const Target& target, bool quiet) {
  if (target.outcome.ok() && quiet) return;
  writer.open(target.outcome.ok() ? "Deleted" : "Error").element("Key", target.removal.key);
  if (target.version) writer.element("VersionId", *target.version);
  if (!target.outcome.ok()) {
    writer.element("Code", s3_code(target.outcome.error()));
    writer.element("Message", target.outcome.error().message);
  }
  writer.close();
}

}  // namespace

Answer delete_object(const Authorized& request, Lake& lake) {
  const auto name = object_of(request);
  if (!name) co_return name.error();
  auto when = removal_conditions(request.request());
  if (!when) co_return std::move(when).error();
  const auto removed = co_await lake.remove(request.caller(), *name, *std::move(when));
  if (!removed) co_return removed.error();
  co_return Response::empty(204);
}

Answer delete_objects(const Authorized& request, Lake& lake) {
  const auto body = co_await read_xml(request, "Delete", kMaxBody);
  if (!body) co_return body.error();
  auto order = order_of(*body);
  if (!order) co_return std::move(order).error();
  std::vector<Removal> removals;
  std::vector<Status*> places;
  for (auto& target : order->targets) {
    if (!target.outcome.ok()) continue;
    removals.push_back(target.removal);
    places.push_back(&target.outcome);
  }
  auto outcomes =
      co_await lake.remove_many(request.caller(), request.param("bucket"), std::move(removals));
  if (!outcomes) co_return std::move(outcomes).error();
  for (std::size_t i = 0; i < places.size(); ++i)
    *places[i] = std::move((*outcomes)[i]);
  wire::XmlWriter writer("DeleteResult", kNamespace);
  for (const auto& target : order->targets)
    add_outcome(writer, target, order->quiet);
  co_return xml_answer(writer);
}

}  // namespace strata::doors::s3
