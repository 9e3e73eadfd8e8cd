#pragma once

#include "platform/external/external.hpp"

// How things of elsewhere are called in the records, the graph and the events. Private to the room.
namespace strata::platform::external {

// Without '@', which separates a version in references.
std::string ref_name(const Identifier& id);
kernel::NodeRef run_ref(const std::string& run);
kernel::NodeRef dataset_ref(const Identifier& id);
// Of owned_subject(): kind and name in the graph.
kernel::NodeRef owned_ref(std::string_view owned);
// The subject of events about a dataset.
std::string dataset_subject(const Identifier& id, const std::string& owned);

// Facets by name, each with the time that it is of; the newer one of each name stands.
Json merged_facets(Json stored, const Json& came, Instant time);
Json shown_facets(const Json& stored);

}  // namespace strata::platform::external
