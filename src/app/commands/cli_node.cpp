#include "app/commands/cli_node.hpp"

#include <CLI/CLI.hpp>

#include "app/commands/cells.hpp"
#include "app/commands/cli.hpp"
#include "app/commands/numbers.hpp"
#include "base/text.hpp"
#include "storage/compute/measure.hpp"

namespace strata::app {

namespace {

std::string number(const Json& from, std::string_view name, std::string_view unit) {
  const Json* value = from.find(name);
  if (value == nullptr || !value->is_number()) return "-";
  return fmt::format("{:.3g} {}", value->as_double(), unit);
}

// Microseconds, or milliseconds where they are many, as the browser shows them.
std::string time_of(const Json& from, std::string_view name) {
  const Json* value = from.find(name);
  if (value == nullptr || !value->is_number()) return "-";
  const double us = value->as_double();
  return us < 1000 ? fmt::format("{:.0f} us", us) : fmt::format("{:.1f} ms", us / 1000);
}

// Two digits, and more where the price has them.
std::string price_of(double per_hour) {
  const std::string two = fmt::format("{:.2f}", per_hour);
  return to_double(two) == per_hour ? two : fmt::format("{}", per_hour);
}

// One line for each fact: a node has too many of them for a row.
void print_node(const Json& node) {
  const Json& measured = node["measured"];
  const Json& price = node["price"];
  std::vector<std::string> isa;
  for (const auto& name : node["isa"].as_array())
    isa.push_back(name.as_string());
  std::vector<std::pair<std::string, std::string>> lines = {
      {"cpu", fmt::format("{} ({} cores, {} NUMA node{})", node.text("cpu"), node.integer("cores"),
                          node.integer("numa_nodes"), node.integer("numa_nodes") == 1 ? "" : "s")},
      {"isa", join(isa, " ")},
      {"memory", show_bytes(static_cast<std::uint64_t>(node.integer("memory_bytes")))}};
  for (const auto& disk : node["disks"].as_array()) {
    lines.emplace_back(
        "disk", fmt::format("{} ({}): {} free of {}", disk.text("device"), disk.text("holds"),
                            show_bytes(static_cast<std::uint64_t>(disk.integer("free_bytes"))),
                            show_bytes(static_cast<std::uint64_t>(disk.integer("total_bytes")))));
  }
  for (const auto& gpu : node["gpus"].as_array()) {
    lines.emplace_back(
        "gpu", fmt::format("{}, {}", gpu.text("name"),
                           show_bytes(static_cast<std::uint64_t>(gpu.integer("memory_bytes")))));
  }
  if (node["gpus"].size() == 0) lines.emplace_back("gpu", "none");
  lines.emplace_back("sandbox", node.integer("landlock") > 0
                                    ? "Landlock " + node["landlock"].dump()
                                    : "none: SQL is held by the engine's own settings only");
  if (measured.is_object()) {
    lines.emplace_back("measured", measured.text("time"));
    lines.emplace_back("  memory bandwidth", number(measured, "memory_gb_s", "GB/s"));
    lines.emplace_back("  disk write, read", number(measured, "disk_write_gb_s", "GB/s") + ", " +
                                                 number(measured, "disk_read_gb_s", "GB/s"));
    lines.emplace_back("  fdatasync p50, p99", time_of(measured, "fdatasync_p50_us") + ", " +
                                                   time_of(measured, "fdatasync_p99_us"));
    lines.emplace_back("  FP32, FP64 per core",
                       number(measured, "fp32_gflops_per_core", "GFLOPS") + ", " +
                           number(measured, "fp64_gflops_per_core", "GFLOPS"));
  } else {
    lines.emplace_back("measured", "not yet");
  }
  lines.emplace_back(
      "price", price.is_object() ? fmt::format("{} {} per hour", price_of(price.number("per_hour")),
                                               price.text("currency"))
                                 : "not set: strata node price " + node.text("name") +
                                       " --per-hour 0.30 --currency EUR");
  print_line(node.text("name"));
  for (const auto& [name, text] : lines)
    print_line(fmt::format("  {:<22}{}", name, text));
}

void show(const CliContext& context, const Json& answer) {
  if (context.structured()) {
    context.dump(answer);
    return;
  }
  if (!answer["nodes"].is_array()) return print_node(answer);
  for (const auto& node : answer["nodes"].as_array())
    print_node(node);
}

Status change(CliContext& context, ApiClient& client, std::string_view method,
              const std::string& path, const Json& body) {
  const auto answer = client.request(method, path, body.dump());
  if (!answer) return answer.error();
  const auto json = parse_json(answer->body);
  if (!json) return json.error();
  show(context, *json);
  return {};
}

void add_measurement(CLI::App& app, CliContext& context) {
  auto* command =
      app.add_subcommand("measure-node", "Measures this machine; the server starts it")->group("");
  command->callback([&context] {
    const auto measured = storage::compute::measure(context.data_dir);
    if (!measured) return context.fail(measured.error());
    std::printf("%s\n", storage::compute::to_json(*measured).dump().c_str());
  });
}

}  // namespace

void add_node_commands(CLI::App& app, CliContext& context) {
  add_measurement(app, context);
  auto* node = app.add_subcommand("node", "Machines: what they are, how fast, and what they cost");
  node->require_subcommand(1);
  node->add_subcommand("list", "Inventory, measured speed and price")->callback([&context] {
    context.with_client([&](ApiClient& client) -> Status {
      const auto nodes = client.get("/api/v1/nodes");
      if (!nodes) return nodes.error();
      show(context, *nodes);
      return {};
    });
  });
  static std::string name = "local";
  static std::string currency = "EUR";
  static double per_hour = 0;
  auto* measure = node->add_subcommand("measure", "Measure the speed again, about three seconds");
  measure->add_option("node", name, "Name of the node (default: the server's)");
  measure->callback([&context] {
    context.with_client([&](ApiClient& client) {
      return change(context, client, "POST", "/api/v1/nodes/" + encode_segment(name) + "/measure",
                    Json::object());
    });
  });
  auto* price = node->add_subcommand("price", "Set what an hour of the node costs");
  price->add_option("node", name, "Name of the node")->required();
  price->add_option("--per-hour", per_hour, "Price of the whole node for an hour")
      ->required()
      ->check(number_from_zero());
  price->add_option("--currency", currency, "ISO 4217 code, for example EUR");
  price->callback([&context] {
    context.with_client([&](ApiClient& client) {
      return change(context, client, "PUT", "/api/v1/nodes/" + encode_segment(name) + "/price",
                    Json::object({{"per_hour", per_hour}, {"currency", currency}}));
    });
  });
}

}  // namespace strata::app
