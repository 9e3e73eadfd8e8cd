#include "doors/grpc/health.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "doors/grpc/grpc.hpp"
#include "wire/grpc/grpc.hpp"
#include "wire/protobuf/protobuf.hpp"

namespace strata::doors::grpc {

using wire::protobuf::Reader;
using wire::protobuf::Writer;

namespace {

// A notification that comes between the look and the wait is missed: this is how late it may be.
constexpr std::chrono::milliseconds kLook{1000};

Result<std::string> service_in(std::string_view message) {
  std::string service;
  Reader reader(message, "HealthCheckRequest");
  while (reader.next())
    if (reader.number() == 1) reader.text("service", service);
  if (reader.failed()) return reader.error();
  return service;
}

void write_status(Writer& writer, Health::Status status) {
  writer.integer(1, static_cast<std::int64_t>(status));
}

std::string status_message(Health::Status status) {
  Writer writer(wire::grpc::room());
  write_status(writer, status);
  return writer.take();
}

Task<Reply> check(const Health& health, std::shared_ptr<const std::string> message) {
  const auto service = service_in(*message);
  if (!service) co_return service.error();
  const auto status = health.of(*service);
  if (status == Health::Status::kNoService)
    co_return not_found(fmt::format("there is no service '{}'", printable(*service)));
  co_return status_message(status);
}

std::string list(const Health& health) {
  Writer writer(wire::grpc::room());
  std::vector<std::string> names = health.services();
  names.emplace_back();
  for (const auto& name : names) {
    Writer status;
    write_status(status, health.of(name));
    Writer entry;
    entry.text(1, name);
    entry.message(2, status);
    writer.message(1, entry);
  }
  return writer.take();
}

// Says how it is now, and again whenever that changes.
class Watch final : public Replies {
 public:
  Watch(Health& health, Messages& messages) : health_(health), messages_(messages) {}

  Task<Result<std::optional<std::string>>> next() override {
    if (!asked_) {
      const auto message = co_await messages_.next();
      if (!message) co_return message.error();
      if (!*message) co_return Error(Code::kMalformed, "the call carries no message");
      auto service = service_in(*(*message)->bytes);
      if (!service) co_return std::move(service).error();
      asked_ = *std::move(service);
    }
    while (!cancelled_) {
      const auto now = health_.of(*asked_);
      if (now != said_) {
        said_ = now;
        co_return std::optional(status_message(now));
      }
      if (health_.drains()) {
        Error stops(Code::kUnavailable, "the server is stopping");
        stops.retry = true;
        co_return stops;
      }
      co_await health_.changed().wait(kLook);
    }
    co_return std::optional<std::string>();
  }

  void cancel() override {
    cancelled_ = true;
    health_.changed().notify_all();
  }

 private:
  Health& health_;
  Messages& messages_;
  std::optional<std::string> asked_;
  std::optional<Health::Status> said_;
  bool cancelled_ = false;
};

}  // namespace

Health::Status Health::of(std::string_view service) const {
  if (!service.empty() && std::ranges::find(services_, service) == services_.end())
    return Status::kNoService;
  return drains() ? Status::kNotServing : Status::kServing;
}

Service health_service(Health& health) {
  constexpr auto kPublic = kernel::Permission::kPublic;
  const auto check_now = [&health](const Call&, std::shared_ptr<const std::string> message) {
    return check(health, std::move(message));
  };
  const auto list_now = [&health](const Call&, std::shared_ptr<const std::string>) -> Task<Reply> {
    co_return list(health);
  };
  const auto watch = [&health](const Call&, Messages& messages) -> std::unique_ptr<Replies> {
    return std::make_unique<Watch>(health, messages);
  };
  Service service{"grpc.health.v1.Health", {}};
  service.methods.push_back({"Check", kPublic, kSmallCall, check_now, {}});
  service.methods.push_back({"List", kPublic, kSmallCall, list_now, {}});
  service.methods.push_back({"Watch", kPublic, open_call(kSmallCall.body), {}, watch});
  return service;
}

}  // namespace strata::doors::grpc
