#pragma once

#include <string>
#include <vector>

namespace strata::doors::grpc {

struct Service;

// grpc.reflection.v1 and v1alpha.ServerReflection: what there is to call and the types of its
// messages, for grpcurl and its kin. `services` are listed with its own two. The descriptors of
// their files are in descriptors.cpp.
std::vector<Service> reflection_services(std::vector<std::string> services);

}  // namespace strata::doors::grpc
