#pragma once

#include <vector>

#include "doors/http/http.hpp"
#include "platform/features/features.hpp"

namespace strata::doors::feast {

// The protocol of Feast's feature server over HTTP, as its remote online store speaks it (0.67).
class FeastDoor final : public http::Door {
 public:
  explicit FeastDoor(platform::features::Features& features) : features_(features) {}
  std::string_view protocol() const override { return "Feast feature server"; }
  http::Response error(const Error& error, const http::Request& request) const override;
  std::vector<http::Route> routes() override;

 private:
  platform::features::Features& features_;
};

}  // namespace strata::doors::feast
