#pragma once

#include <functional>
#include <string>
#include <vector>

#include "doors/http/http.hpp"
#include "kernel/lineage/lineage.hpp"

namespace strata::doors::rest {

// A prediction as lineage shows it: the log's entry, and the deployment that answered.
struct PredictionOrigin {
  kernel::LineageNode node;
  kernel::NodeRef endpoint;
};
using FindPrediction =
    std::function<Task<Result<PredictionOrigin>>(const kernel::Caller&, std::string id)>;

// GET /api/v1/why/{id}: all that led to a prediction, endpoint, model, run, table or object.
// GET /api/v1/impact: all that follows from one.
std::vector<http::Route> lineage_routes(kernel::Lineage& lineage, FindPrediction find_prediction);

}  // namespace strata::doors::rest
