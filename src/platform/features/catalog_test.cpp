#include "platform/features/catalog.hpp"

#include <gtest/gtest.h>

namespace strata::platform::features {
namespace {

constexpr std::string_view kFlights = R"(
entities:
  carrier: {keys: {carrier: string}, owner: ops}
  route: {keys: {origin: string, dest: string}}
sources:
  landings:
    stream: true
    columns: {carrier: string, origin: string, dest: string, delay: double, landed: timestamp}
    timestamp: landed
  airports:
    {table: airports, columns: {origin: string, runways: int64, at: timestamp}, timestamp: at}
views:
  carrier_delay:
    entities: [carrier]
    source: landings
    ttl: 1d
    fresh: 10m
    description: How late a carrier was
    features:
      hours: delay / 60
      late: {expression: "delay > 15", description: more than a quarter}
  route_delay: {entities: [route], source: landings, features: {minutes: delay}}
on_demand:
  trip:
    request: {distance: double}
    features: {pace: distance / carrier_delay.hours}
services:
  flights: {features: [carrier_delay.late, trip.pace, route_delay.minutes]}
)";

Result<Definitions> read(std::string_view text) {
  auto document = read_features_yaml(text, "f.yaml");
  if (!document) return document.error();
  return std::move(document->definitions);
}

Catalog plan(std::string_view text) {
  auto definitions = read(text);
  EXPECT_TRUE(definitions.ok()) << (definitions ? "" : definitions.error().message);
  auto catalog = make_catalog(definitions ? *definitions : Definitions());
  EXPECT_TRUE(catalog.ok()) << (catalog ? "" : catalog.error().message);
  return catalog ? *std::move(catalog) : Catalog();
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

// What reading or planning says of `text`, with the place in the file.
std::string refusal(std::string_view text) {
  auto document = read_features_yaml(text, "f.yaml");
  if (!document) return document.error().message;
  const auto catalog = make_catalog(document->definitions);
  return catalog ? "" : located(catalog.error(), "f.yaml", document->places).message;
}

// These live for ever: models and training sets are tied to them. Never edit what stands here.
TEST(FeaturePlan, The_versions_of_views_and_services_stay_what_they_were) {
  const Catalog catalog = plan(kFlights);
  EXPECT_EQ(catalog.views.at("carrier_delay").plan.dump(),
            R"x({"plan":1,"kind":"view","keys":[{"name":"carrier","type":"string"}],)x"
            R"x("source":{"stream":"landings"},"timestamp":"landed","ttl_us":86400000000,)x"
            R"x("features":[{"name":"hours","type":"double","expression":)x"
            R"x("(div_f64 (column_f64 (in f64 \"delay\")) (f64 404e000000000000))"},)x"
            R"x({"name":"late","type":"bool","expression":)x"
            R"x("(lt_f64 (f64 402e000000000000) (column_f64 (in f64 \"delay\")))"}]})x");
  EXPECT_EQ(catalog.views.at("trip").plan["reads"].as_array()[0].text("version"),
            catalog.views.at("carrier_delay").version);
  EXPECT_EQ(catalog.views.at("carrier_delay").version,
            "sha256:21d8a19296a10eeb734301dbd00152318f8e6c8fc354c3a628596e22169dd2dc");
  EXPECT_EQ(catalog.views.at("trip").version,
            "sha256:1f22d79777bce5e3ac5f7547d30f3cde8424df5b8a1d620421502181eb75b9af");
  EXPECT_EQ(catalog.services.at("flights").version,
            "sha256:a3bf32edc4731ab121dc98a513264f5b7c152d19337f4f2fbda967e26b3b146f");
}

TEST(FeaturePlan, Words_owners_order_and_spelling_are_no_part_of_a_version) {
  const Catalog first = plan(kFlights);
  std::string text(kFlights);
  text = replaced(text, "How late a carrier was", "Something else");
  text = replaced(text, "fresh: 10m", "owner: mara");
  text = replaced(text, "hours: delay / 60", "hours: (delay) / 60.0");
  text = replaced(text, "delay > 15", "15 < delay");
  text = replaced(text, "ttl: 1d", "ttl: 24h");
  const Catalog second = plan(text);
  EXPECT_EQ(first.views.at("carrier_delay").version, second.views.at("carrier_delay").version);
  EXPECT_EQ(first.services.at("flights").version, second.services.at("flights").version);
}

TEST(FeaturePlan, What_changes_values_changes_the_version_of_all_that_is_computed_with_it) {
  const Catalog first = plan(kFlights);
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"delay / 60", "delay / 61"}, {"ttl: 1d", "ttl: 2d"}, {"ttl: 1d", "owner: x"}}) {
    const Catalog second = plan(replaced(std::string(kFlights), from, to));
    for (const auto* const view : {"carrier_delay", "trip"})
      EXPECT_NE(first.views.at(view).version, second.views.at(view).version) << from << view;
    EXPECT_NE(first.services.at("flights").version, second.services.at("flights").version);
    EXPECT_EQ(first.views.at("route_delay").version, second.views.at("route_delay").version);
  }
}

TEST(FeaturePlan, A_service_says_which_keys_and_fields_a_request_brings) {
  const Catalog catalog = plan(kFlights);
  const PlannedService& service = catalog.services.at("flights");
  std::vector<std::string> keys;
  for (const auto& key : service.keys)
    keys.push_back(key.name);
  EXPECT_EQ(keys, (std::vector<std::string>{"carrier", "dest", "origin"}));
  ASSERT_EQ(service.request.size(), 1U);
  EXPECT_EQ(service.request[0].name, "distance");
}

TEST(FeaturePlan, What_is_written_as_json_is_read_back_the_same) {
  const auto definitions = read(kFlights);
  ASSERT_TRUE(definitions.ok());
  const auto again = read_features_json(to_json(*definitions));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(to_json(again->definitions).dump(), to_json(*definitions).dump());
}

struct Slip {
  std::string from, to, says;
};

TEST(FeaturePlan, A_slip_is_refused_with_its_place_its_field_and_the_way_out) {
  const std::vector<Slip> slips = {
      {"entities: [carrier]", "entities: [carier]",
       "f.yaml:14:16: views.carrier_delay.entities.0: there is no entity 'carier'. Did you mean "
       "'carrier'?"},
      {"delay / 60", "dely / 60", "f.yaml:20:14: views.carrier_delay.features.hours: "},
      {"source: landings\n    ttl", "source: landing\n    ttl", "Did you mean 'landings'"},
      {"ttl: 1d", "ttl: 0s", "f.yaml:16:10: views.carrier_delay.ttl: '0s' is no time above zero"},
      {"ttl: 1d", "ttl: -3h", "is no time above zero"},
      {"ttl: 1d", "tll: 1d", "Did you mean 'ttl'?"},
      {"delay: double", "delay: float8x", "is no type"},
      {"timestamp: landed", "timestamp: delay", "is no column of type timestamp"},
      {"timestamp: landed", "created: landed", "name the column with the event time"},
      {"carrier: string}, owner", "carrier: double}, owner", "cannot be a key"},
      {"carrier: string}, owner", "carrier: int64}, owner",
       "has no column 'carrier' of type int64"},
      {"hours: delay", "carrier: delay", "a key of the view has this name"},
      {"route_delay.minutes]", "carrier_delay.late]",
       "two features of this vector have the name 'late'"},
      {"minutes: delay", "distance: delay", "there is no feature of route_delay 'minutes'"},
      {"distance / carrier_delay.hours", "distance / trip.pace", "read each other in a circle"},
      {"  trip:", "  route_delay:", "there is a view of this name already"},
      {"trip.pace,", "trip,", "has to be written as view.feature"},
      {"stream: true", "stream: true\n    table: x", "needs exactly one of"},
      {"  carrier_delay:\n", "  carrier-delay:\n", "is no name"},
  };
  for (const auto& [from, to, says] : slips) {
    const std::string said = refusal(replaced(std::string(kFlights), from, to));
    EXPECT_NE(said.find(says), std::string::npos) << from << " -> " << to << "\n  " << said;
  }
  const std::string circle = R"(
on_demand:
  a: {request: {x: int64}, features: {f: b.f + x}}
  b: {features: {f: c.f + 1}}
  c: {features: {f: a.f + 1}}
)";
  EXPECT_NE(refusal(circle).find("read each other in a circle"), std::string::npos);
}

TEST(FeaturePlan, Changes_say_what_gets_another_version_and_who_is_touched) {
  const Catalog now = plan(kFlights);
  const auto given = read(R"(
views:
  carrier_delay:
    entities: [carrier]
    source: landings
    ttl: 1d
    features: {hours: delay / 61, late: delay > 15}
  same: {entities: [route], source: landings, features: {minutes: delay}}
)");
  ASSERT_TRUE(given.ok());
  const auto next = make_catalog(*merged(now.definitions, *given));
  ASSERT_TRUE(next.ok()) << next.error().message;
  std::map<std::string, Change> by_name;
  for (auto& change : changes(now, *next, *given))
    by_name.emplace(change.name, change);
  EXPECT_EQ(by_name.size(), 4U);  // route_delay is not touched
  const Change& view = by_name.at("carrier_delay");
  EXPECT_EQ(view.what, Change::What::kVersion);
  EXPECT_EQ(view.changed, std::vector<std::string>{"hours"});
  EXPECT_EQ(view.services, std::vector<std::string>{"flights"});
  EXPECT_EQ(by_name.at("trip").what, Change::What::kVersion);
  EXPECT_EQ(by_name.at("flights").what, Change::What::kVersion);
  EXPECT_EQ(by_name.at("same").equal_to, std::vector<std::string>{"route_delay"});
  EXPECT_EQ(changes(now, now, now.definitions).front().what, Change::What::kSame);
}

TEST(FeaturePlan, A_column_of_a_stream_keeps_its_type_for_its_rows_stand_in_the_log) {
  const Catalog now = plan(kFlights);
  const auto other = read(replaced(std::string(kFlights), "delay: double", "delay: int64"));
  ASSERT_TRUE(other.ok());
  const auto refused = merged(now.definitions, *other);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().field, "sources.landings.columns.delay");
  const auto more =
      read(replaced(std::string(kFlights), "delay: double", "delay: double, gate: string"));
  EXPECT_TRUE(merged(now.definitions, *more).ok());
}

TEST(FeaturePlan, Finds_features_by_what_they_compute) {
  const Catalog catalog = plan(kFlights);
  const auto found = same_computation(catalog, "NOT (15.0 >= delay)", "landings");
  const auto hours = same_computation(catalog, "delay/60", "landings");
  ASSERT_TRUE(found.ok() && hours.ok());
  EXPECT_EQ(*hours, std::vector<std::string>{"carrier_delay.hours"});
  EXPECT_TRUE(same_computation(catalog, "delay / 59", "landings")->empty());
  EXPECT_FALSE(same_computation(catalog, "delay", "nowhere").ok());
}

}  // namespace
}  // namespace strata::platform::features
