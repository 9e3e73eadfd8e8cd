#pragma once

#include <string>
#include <vector>

#include "doors/http/http.hpp"

namespace strata::doors::ui {

// Serves the browser UI out of the program itself. All of it is public: the pages hold no data,
// they ask Strata's own API with the token that the user brings. Names with a content hash may be
// cached for ever, the page itself never.
//
// Paths of pages (/lake/..., /models/...) all answer the one page, which then shows what the path
// names.
class UiDoor final : public http::Door {
 public:
  // Errors are one line of text: a person reads them in a browser. Where nothing is, the page says
  // so itself.
  std::string_view protocol() const override { return "the browser UI"; }
  bool for_browsers() const override { return true; }
  http::Response error(const Error& error, const http::Request& request) const override;
  std::vector<http::Route> routes() override;
};

}  // namespace strata::doors::ui
