#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "doors/http/http.hpp"
#include "storage/lake/lake.hpp"

namespace strata::doors::s3 {

// The Amazon S3 REST protocol on top of the lake: what stock boto3, the aws CLI, s3fs and Arrow
// speak.
//
// Callers prove themselves by SigV4 (header, presigned query, signed chunks), by the SigV2 query
// that boto3 still presigns with, or by a bearer or basic token. Buckets are addressed by path or
// as a host name below `localhost`. What the lake does not offer (policies, versions, locks ...)
// answers as a bucket that has none of it, and NotImplemented when it is set. Holds no state;
// threads: any loop.
class S3Door final : public http::Door {
 public:
  explicit S3Door(storage::lake::Lake& lake) : lake_(lake) {}

  std::string_view protocol() const override { return "Amazon S3"; }
  http::Response error(const Error& error, const http::Request& request) const override;
  Task<Result<kernel::Caller>> authenticate(http::Request& request,
                                            const kernel::Identity& identity) override;
  std::vector<http::Route> routes() override;
  // A bucket in the host name moves to the front of the path.
  void rewrite(http::Request& request) const override;

 private:
  using Operation = Task<Result<http::Response>> (*)(const http::Authorized&, storage::lake::Lake&);
  // `parameters`: the query parameters that the operation knows (see check_known()).
  http::Route row(http::Method method, std::string pattern, kernel::Permission permission,
                  Operation operation, std::string_view parameters);
  Task<http::Response> call(Operation operation, std::string_view parameters,
                            const http::Authorized& request);

  storage::lake::Lake& lake_;
};

// Whether a client of S3 signed this request, in a header or its query; nothing is checked.
bool is_signed_for_s3(const http::Request& request);

}  // namespace strata::doors::s3
