#pragma once

#include <functional>
#include <vector>

#include "doors/http/http.hpp"
#include "storage/warehouse/warehouse.hpp"

namespace strata::doors::rest {

// The warehouse of the caller's project.
using FindWarehouse =
    std::function<Task<Result<storage::warehouse::Warehouse*>>(const kernel::Caller& caller)>;

// /api/v1/sql: queries in JSON, CSV, Arrow and Parquet, their history and cancelling, and the list
// of tables. `release` lets the engines write out and end; it blocks.
std::vector<http::Route> sql_routes(const FindWarehouse& find, BlockingPool& pool,
                                    std::function<Status()> release);

}  // namespace strata::doors::rest
