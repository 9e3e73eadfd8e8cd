#pragma once

#include <vector>

#include "doors/http/http.hpp"
#include "platform/deployment/deployment.hpp"

namespace strata::doors::oip {

// The Open Inference Protocol, version 2, over HTTP with the binary tensor extension, as
// tritonclient and KServe clients speak it. An endpoint is a model of the protocol; its versions
// are those of the registered model, and only the live one is loaded. Success is always 200; errors
// are {"error": "..."}. Answers carry Strata-Prediction-Id, Strata-Model-Digest and
// Strata-Model-Version.
class OipDoor final : public http::Door {
 public:
  explicit OipDoor(platform::deployment::Endpoints& endpoints) : endpoints_(endpoints) {}
  std::vector<http::Route> routes() override;
  std::string_view protocol() const override { return "the Open Inference Protocol"; }
  http::Response error(const Error& error, const http::Request& request) const override;

 private:
  platform::deployment::Endpoints& endpoints_;
};

http::Response error_response(const Error& error);

// POST /v2/models/{name}/infer
Task<http::Response> infer(const http::Authorized& call,
                           platform::deployment::Endpoints& endpoints);

// What the protocol tells of the server and its models; none of it changes anything.
Task<http::Response> server_metadata(const http::Authorized& call);
Task<http::Response> list_models(const http::Authorized& call,
                                 platform::deployment::Endpoints& endpoints);
Task<http::Response> repository_index(const http::Authorized& call,
                                      platform::deployment::Endpoints& endpoints);
Task<http::Response> refuse_to_move(const http::Authorized& call,
                                    platform::deployment::Endpoints& endpoints);
Task<http::Response> model_metadata(const http::Authorized& call,
                                    platform::deployment::Endpoints& endpoints);
Task<http::Response> model_ready(const http::Authorized& call,
                                 platform::deployment::Endpoints& endpoints);
Task<http::Response> model_config(const http::Authorized& call,
                                  platform::deployment::Endpoints& endpoints);
Task<http::Response> model_statistics(const http::Authorized& call,
                                      platform::deployment::Endpoints& endpoints);
Task<http::Response> all_statistics(const http::Authorized& call,
                                    platform::deployment::Endpoints& endpoints);

}  // namespace strata::doors::oip
