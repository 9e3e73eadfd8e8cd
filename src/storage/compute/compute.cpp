#include "storage/compute/compute.hpp"

#include <algorithm>

namespace strata::storage::compute {

namespace {

constexpr kernel::Migration kMigrations[] = {{"compute", 1, R"(
CREATE TABLE compute_nodes (
  name TEXT PRIMARY KEY,
  inventory TEXT NOT NULL,
  measured TEXT NOT NULL,
  measured_at INTEGER NOT NULL,
  price_per_hour REAL,
  currency TEXT NOT NULL
);
)"},
                                             {"compute", 2, R"(
CREATE TABLE compute_prices (
  node TEXT NOT NULL,
  since INTEGER NOT NULL,
  per_hour REAL NOT NULL,
  currency TEXT NOT NULL,
  PRIMARY KEY (node, since)
);
INSERT INTO compute_prices (node, since, per_hour, currency)
  SELECT name, 0, price_per_hour, currency FROM compute_nodes WHERE price_per_hour IS NOT NULL;
)"}};

constexpr double kMaxPerHour = 1e9;

bool is_currency(const std::string& text) {
  return text.size() == 3 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace

Compute::Compute(kernel::Records& records, kernel::Audit& audit, BlockingPool& pool,
                 const Clock& clock, std::string data, Measure measure)
    : records_(records),
      audit_(audit),
      pool_(pool),
      clock_(clock),
      data_(std::move(data)),
      measure_(std::move(measure)) {}

std::span<const kernel::Migration> Compute::migrations() {
  return kMigrations;
}

Status Compute::start() {
  NodeInfo node;
  node.inventory = take_inventory(data_);
  auto load = [&](kernel::Writer& writer) -> Result<bool> {
    auto row = writer.first(
        "SELECT measured, measured_at, price_per_hour, currency FROM compute_nodes WHERE name = ?",
        {node.inventory.name});
    if (!row) return std::move(row).error();
    auto kept = writer.execute(
        "INSERT INTO compute_nodes (name, inventory, measured, measured_at, price_per_hour, "
        "currency) "
        "VALUES (?, ?, '', 0, NULL, '') ON CONFLICT (name) DO UPDATE SET inventory = "
        "excluded.inventory",
        {node.inventory.name, compute::to_json(node.inventory).dump()});
    if (!kept) return std::move(kept).error();
    if (!*row) return true;
    if (const auto measured = parse_json((*row)->text(0)); measured && (*row)->integer(1) > 0) {
      node.measured = measurements_from(*measured);
      node.measured_at = Instant{(*row)->integer(1)};
    }
    STRATA_TRY(load_prices(writer, node.inventory.name));
    if (!(*row)->is_null(2)) node.price = Price{(*row)->real(2), (*row)->text(3)};
    return true;
  };
  auto loaded = records_.write_blocking(load);
  if (!loaded) return std::move(loaded).error();
  const std::lock_guard lock(mutex_);
  node_ = std::move(node);
  return {};
}

Status Compute::load_prices(kernel::Reader& reader, const std::string& node) {
  const auto rows =
      reader.query("SELECT since, per_hour, currency FROM compute_prices WHERE node = ?", {node});
  if (!rows) return rows.error();
  const std::lock_guard lock(mutex_);
  for (const auto& row : *rows)
    prices_[Instant{row.integer(0)}] = Price{row.real(1), row.text(2)};
  return {};
}

std::vector<NodeInfo> Compute::nodes() {
  const std::lock_guard lock(mutex_);
  return {node_};
}

Status Compute::check_node(const std::string& node) const {
  const std::lock_guard lock(mutex_);
  if (node == node_.inventory.name || node == "local") return {};
  return Error(
      Code::kNotFound,
      "there is no node '" + node.substr(0, 80) + "'; this one is '" + node_.inventory.name + "'",
      "node");
}

Task<Status> Compute::measure_once() {
  {
    const std::lock_guard lock(mutex_);
    if (node_.measured) co_return Status();
  }
  co_return co_await measure_and_keep();
}

Task<Status> Compute::measure_and_keep() {
  std::string name;
  {
    const std::lock_guard lock(mutex_);
    if (measuring_) co_return Error(Code::kConflict, "this node is being measured already");
    measuring_ = true;
    name = node_.inventory.name;
  }
  auto measured = co_await pool_.run(measure_);
  const Instant now = clock_.now();
  Result<bool> kept = true;
  if (measured) {
    auto keep = [&](kernel::Writer& writer) -> Result<bool> {
      auto done =
          writer.execute("UPDATE compute_nodes SET measured = ?, measured_at = ? WHERE name = ?",
                         {compute::to_json(*measured).dump(), now.micros, name});
      if (!done) return std::move(done).error();
      return true;
    };
    kept = co_await records_.write(keep);
  }
  const std::lock_guard lock(mutex_);
  measuring_ = false;
  if (!measured) co_return std::move(measured).error();
  if (!kept) co_return std::move(kept).error();
  node_.measured = *measured;
  node_.measured_at = now;
  co_return Status();
}

Task<Result<NodeInfo>> Compute::measure(const kernel::Caller& caller, std::string node) {
  STRATA_CO_TRY(check_node(node));
  STRATA_CO_TRY(co_await measure_and_keep());
  auto note = [&](kernel::Writer& writer) -> Result<bool> {
    STRATA_TRY(audit_.record(writer, caller, "node.measure", "node:" + node));
    return true;
  };
  auto noted = co_await records_.write(note);
  if (!noted) co_return std::move(noted).error();
  co_return nodes().front();
}

Task<Result<NodeInfo>> Compute::set_price(const kernel::Caller& caller, std::string node,
                                          Price price) {
  STRATA_CO_TRY(check_node(node));
  // Also refuses what is no number.
  if (!(price.per_hour >= 0 && price.per_hour <= kMaxPerHour)) {
    co_return invalid("per_hour",
                      fmt::format("per_hour must be a number from 0 to {:.0f}: no machine costs "
                                  "more in any currency, and costs are summed up",
                                  kMaxPerHour));
  }
  if (!is_currency(price.currency)) {
    co_return invalid("currency",
                      "currency must be a code of three capital letters (ISO 4217), such as EUR");
  }
  const NodeInfo known = nodes().front();
  if (known.price == price) co_return known;
  const std::string name = known.inventory.name;
  const Instant now = clock_.now();
  auto change = [&](kernel::Writer& writer) -> Result<bool> {
    auto done =
        writer.execute("UPDATE compute_nodes SET price_per_hour = ?, currency = ? WHERE name = ?",
                       {price.per_hour, price.currency, name});
    if (!done) return std::move(done).error();
    auto kept = writer.execute(
        "INSERT INTO compute_prices (node, since, per_hour, currency) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (node, since) DO UPDATE SET per_hour = excluded.per_hour, currency = "
        "excluded.currency",
        {name, now.micros, price.per_hour, price.currency});
    if (!kept) return std::move(kept).error();
    STRATA_TRY(
        audit_.record(writer, caller, "node.price", "node:" + name,
                      Json::object({{"per_hour", price.per_hour}, {"currency", price.currency}})));
    return true;
  };
  auto changed = co_await records_.write(change);
  if (!changed) co_return std::move(changed).error();
  const std::lock_guard lock(mutex_);
  node_.price = price;
  prices_[now] = price;
  co_return node_;
}

// The caller holds the mutex.
Cost Compute::cost_at(const Price& price, const Reservation& reserved,
                      std::chrono::microseconds time) const {
  const auto& have = node_.inventory;
  double share = have.cores > 0 ? reserved.cores / have.cores : 0;
  if (have.memory_bytes > 0) {
    share = std::max(
        share, static_cast<double>(reserved.memory_bytes) / static_cast<double>(have.memory_bytes));
  }
  if (!have.gpus.empty())
    share = std::max(share, reserved.gpus / static_cast<double>(have.gpus.size()));
  const double hours = std::chrono::duration<double, std::ratio<3600>>(time).count();
  return {share * hours * price.per_hour, price.currency};
}

Cost Compute::cost(const Reservation& reserved, std::chrono::microseconds time) const {
  const std::lock_guard lock(mutex_);
  if (!node_.price) return {};
  return cost_at(*node_.price, reserved, time);
}

Cost Compute::cost_between(const Reservation& reserved, Instant from, Instant to) const {
  const std::lock_guard lock(mutex_);
  const auto later = prices_.upper_bound(from);
  if (from.micros == 0 || later == prices_.begin()) return {};
  if (to.micros == 0) to = clock_.now();
  return cost_at(std::prev(later)->second, reserved,
                 std::max(to - from, std::chrono::microseconds(0)));
}

Json to_json(const NodeInfo& node) {
  Json out = compute::to_json(node.inventory);
  out.set("measured", nullptr);
  if (node.measured) {
    Json measured = compute::to_json(*node.measured);
    measured.set("time", to_rfc3339(node.measured_at));
    out.set("measured", std::move(measured));
  }
  out.set("price", node.price ? Json::object({{"per_hour", node.price->per_hour},
                                              {"currency", node.price->currency}})
                              : Json());
  return out;
}

}  // namespace strata::storage::compute
