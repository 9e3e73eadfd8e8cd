#pragma once

#include "doors/grpc/grpc.hpp"
#include "platform/deployment/deployment.hpp"

namespace strata::doors::oip {

// The Open Inference Protocol over gRPC, `inference.GRPCInferenceService`, as tritonclient.grpc and
// KServe's clients speak it: the same models, permissions and answers as over HTTP. Outputs go out
// in raw_output_contents. An answer has the parameters strata_prediction_id, strata_model_digest
// and strata_model_version. `endpoints` outlives the service.
//
// In ModelStreamInfer requests are answered one after the other, in their order; an error is the
// answer of its request and leaves the stream open.
grpc::Service inference_service(platform::deployment::Endpoints& endpoints);

}  // namespace strata::doors::oip
