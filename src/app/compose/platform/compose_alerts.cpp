#include "app/compose/platform/compose_alerts.hpp"

#include "app/data_dir.hpp"
#include "doors/alerts/alert_routes.hpp"
#include "platform/alerts/alerts.hpp"
#include "runtime/http_client.hpp"

namespace strata::app {

namespace {

using platform::alerts::Alerts;

constexpr std::chrono::seconds kStep{5};
constexpr std::chrono::seconds kWhole{10};
constexpr std::size_t kMostAnswer = 65536;

class AlertsPart final : public Part {
 public:
  explicit AlertsPart(Alerts::Ports ports) : alerts_(std::move(ports)) {}
  Alerts& alerts() { return alerts_; }
  Status start() override {
    alerts_.start();
    return {};
  }

 private:
  Alerts alerts_;
};

// Redirections are not followed: they would lead to where nobody named.
platform::alerts::Send sender(std::stop_token stop) {
  return [stop](const std::string& url, const std::string& header, const std::string& secret,
                const std::string& body) -> Result<int> {
    ClientRequest request;
    request.method = "POST";
    request.url = url;
    request.headers = {{"Content-Type", "application/json"}, {"User-Agent", "strata"}};
    if (!header.empty()) request.headers.emplace_back(header, secret);
    request.body = body;
    request.timeout = kStep;
    request.total = kWhole;
    request.stop = stop;
    std::size_t got = 0;
    const auto answer = http_exchange(request, [&](const ClientAnswer&, std::string_view piece) {
      got += piece.size();
      return got < kMostAnswer;  // only the status counts
    });
    if (!answer) return answer.error();
    return answer->status;
  };
}

}  // namespace

Result<std::unique_ptr<Part>> make_alerts_part(Core& core, doors::rest::RestDoor& rest) {
  STRATA_TRY(core.records.migrate(Alerts::migrations()));
  auto part = std::make_unique<AlertsPart>(
      Alerts::Ports{core.records, core.audit, core.events, core.clock, core.random, core.loops,
                    core.scope, sender(core.scope.token()), [data = core.paths.data] {
                      const auto endpoints = read_endpoints(data);
                      return endpoints ? endpoints->http : std::string();
                    }});
  rest.add(doors::alerts::alert_routes(part->alerts(), &doors::rest::error_response));
  return std::unique_ptr<Part>(std::move(part));
}

}  // namespace strata::app
