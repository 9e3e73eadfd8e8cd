#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "doors/http/http.hpp"
#include "platform/models/models.hpp"
#include "platform/tracking/tracking.hpp"

namespace strata::doors::mlflow {

class Fields;

// The services that the calls of this door go to.
struct Services {
  platform::tracking::Tracking& tracking;
  platform::models::Models& models;
};

// One call of MLflow's REST API: reads its fields, asks one service, gives the answer's JSON.
using Call = Task<Result<Json>> (*)(Fields& in, const http::Authorized& request,
                                    Services& services);

struct CallRow {
  http::Method method;
  std::string_view path;  // behind "/api/2.0/mlflow"
  kernel::Permission permission;
  Call call;
  std::uint64_t body = 8 << 20;
};

// The rows of each family of calls.
std::vector<CallRow> experiment_calls();
std::vector<CallRow> run_calls();
std::vector<CallRow> log_calls();
std::vector<CallRow> metric_calls();
std::vector<CallRow> logged_model_calls();
std::vector<CallRow> registered_model_calls();
std::vector<CallRow> model_version_calls();

// The door of MLflow's clients, for experiments, runs, artifacts and models.
// Spec: MLflow REST API 2.0 and 3.0 and its artifact proxy, as spoken by client 3.17. A caller's
// mistake is never answered by a 5xx, which clients would repeat for minutes; what we do not offer
// is answered by 501 NOT_IMPLEMENTED, which they do not.
class MlflowDoor final : public http::Door {
 public:
  explicit MlflowDoor(Services services) : services_(services) {}

  std::string_view protocol() const override { return "MLflow"; }
  http::Response error(const Error& error, const http::Request& request) const override;
  std::vector<http::Route> routes() override;

 private:
  http::Handler handler_of(Call call);
  void add_calls(std::vector<http::Route>& routes, const std::vector<CallRow>& rows);
  void add_artifact_routes(std::vector<http::Route>& routes);
  void add_probe_routes(std::vector<http::Route>& routes);
  void add_refusals(std::vector<http::Route>& routes);

  Services services_;
};

}  // namespace strata::doors::mlflow
