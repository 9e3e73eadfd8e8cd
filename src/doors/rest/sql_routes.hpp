#pragma once

#include <vector>

#include "doors/http/http.hpp"
#include "storage/warehouse/warehouse.hpp"

namespace strata::doors::rest {

// /api/v1/sql: queries in JSON, CSV, Arrow and Parquet, their history and cancelling, and the list
// of tables.
std::vector<http::Route> sql_routes(storage::warehouse::Warehouse& warehouse);

}  // namespace strata::doors::rest
