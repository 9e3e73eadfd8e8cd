#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "doors/http/http.hpp"
#include "platform/tracking/tracking.hpp"

namespace strata::doors::mlflow {

// The fields of one call, from the query of a GET or the JSON body, read as protobuf's JSON form
// is: integers also as texts and as whole doubles, doubles also as "NaN" and "Infinity", enums by
// name or number, null as absent, unknown fields ignored. The first fault is kept, so that a call
// reads all its fields and asks status() once.
class Fields {
 public:
  // Errors: kMalformed; kInvalidArgument for a body that is no object or of another type than JSON.
  static Task<Result<Fields>> read(const http::Authorized& request);
  explicit Fields(Json object) : object_(std::move(object)) {}

  std::string required(std::string_view name);
  std::string text(std::string_view name);
  bool has(std::string_view name) const;
  std::optional<std::int64_t> integer(std::string_view name);
  std::int64_t required_integer(std::string_view name);
  double required_double(std::string_view name);
  bool boolean(std::string_view name, bool fallback);
  std::vector<std::string> texts(std::string_view name);
  // The objects of a list, each as Fields of its own whose faults are named "name[3].field".
  std::vector<Fields> objects(std::string_view name);
  std::optional<Fields> object(std::string_view name);
  std::vector<platform::tracking::KeyValue> pairs(std::string_view name);
  // "run_id", or "run_uuid" as old clients call it.
  std::string run_id();
  std::int64_t version(std::string_view name);
  platform::tracking::View view(std::string_view name);

  // Takes over the fault of a nested object.
  void join(const Fields& nested);
  void fail(Error error);
  Status status() const;

 private:
  Fields(Json object, std::string prefix)
      : object_(std::move(object)),
        prefix_(std::move(prefix)) {}
  const Json* find(std::string_view name) const;
  std::string path(std::string_view name) const { return prefix_ + std::string(name); }
  void wrong_type(std::string_view name, const Json& value, std::string_view wanted);

  Json object_;
  std::string prefix_;
  std::optional<Error> fault_;
};

}  // namespace strata::doors::mlflow
