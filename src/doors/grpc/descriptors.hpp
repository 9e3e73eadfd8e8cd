#pragma once

#include <string>
#include <vector>

namespace strata::doors::grpc {

// The files that describe the services, each as a serialized google.protobuf.FileDescriptorProto:
// grpc_service.proto and model_config.proto of the Triton Inference Server (BSD-3-Clause),
// health.proto and reflection.proto of gRPC (Apache-2.0). tools/descriptors writes them.
std::vector<std::string> descriptor_files();

}  // namespace strata::doors::grpc
