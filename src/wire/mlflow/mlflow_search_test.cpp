#include "wire/mlflow/mlflow_search.hpp"

#include <gtest/gtest.h>

namespace strata::wire::mlflow {
namespace {

std::string show(const Clause& clause) {
  static constexpr std::array<std::string_view, 5> kEntities = {"attribute", "metric", "param",
                                                                "tag", "dataset"};
  std::string out = fmt::format("{}|{}|{}|", kEntities[static_cast<std::size_t>(clause.entity)],
                                clause.key, comparator_name(clause.comparator));
  if (const auto* whole = std::get_if<std::int64_t>(&clause.value))
    out += fmt::format("{}", *whole);
  if (const auto* real = std::get_if<double>(&clause.value)) out += fmt::format("{}", *real);
  if (const auto* text = std::get_if<std::string>(&clause.value)) out += *text;
  if (const auto* list = std::get_if<std::vector<std::string>>(&clause.value)) {
    for (const auto& item : *list)
      out += "[" + item + "]";
  }
  return out;
}

std::string parsed(std::string_view text, Subject subject = Subject::kRuns) {
  const auto clauses = parse_filter(text, subject);
  if (!clauses) return "error";
  std::string out;
  for (const auto& clause : *clauses)
    out += (out.empty() ? "" : " & ") + show(clause);
  return out;
}

struct Case {
  const char* filter;
  const char* expected;
};

TEST(MlflowFilter, Reads_every_form_that_the_stock_server_reads) {
  const Case cases[] = {
      {"", ""},
      {"  ", ""},
      {"metrics.acc > 0.5", "metric|acc|>|0.5"},
      {"metric.acc>=1", "metric|acc|>=|1"},
      {"metrics.a = -1.5e-3", "metric|a|=|-0.0015"},
      {"metrics.a = .5", "metric|a|=|0.5"},
      {"metrics.\"my loss\" != 3", "metric|my loss|!=|3"},
      {"metrics.`a.b/c-d` < 3", "metric|a.b/c-d|<|3"},
      {"`metrics`.a = 1", "metric|a|=|1"},
      {"metrics.a.b = 1", "metric|a.b|=|1"},
      {"metrics.5fold = 1", "metric|5fold|=|1"},
      {"params.lr = '0.1'", "param|lr|=|0.1"},
      {"param.lr = \"0.1\"", "param|lr|=|0.1"},
      {"parameters.x LIKE 'a%'", "param|x|LIKE|a%"},
      {"parameter.x ilike 'A_'", "param|x|ILIKE|A_"},
      {"params.select = 'x'", "param|select|=|x"},
      {"params.x = 'it''s'", "param|x|=|it''s"},
      {"tags.mlflow.user = 'ann'", "tag|mlflow.user|=|ann"},
      {"tag.`mlflow.user` IS NULL", "tag|mlflow.user|IS NULL|"},
      {"params.lr is not null", "param|lr|IS NOT NULL|"},
      {"status = 'FINISHED'", "attribute|status|=|FINISHED"},
      {"attributes.status != \"RUNNING\"", "attribute|status|!=|RUNNING"},
      {"run.run_id IN ('a', \"b\",)", "attribute|run_id|IN|[a][b]"},
      {"run_id not in ('a')", "attribute|run_id|NOT IN|[a]"},
      {"attr.`Run name` = 'x'", "attribute|run_name|=|x"},
      {"created > 1700000000000", "attribute|start_time|>|1700000000000"},
      {"end_time <= 1.5", "attribute|end_time|<=|1.5"},
      {"datasets.name IN ('train')", "dataset|name|IN|[train]"},
      {"dataset.context LIKE 'tr%'", "dataset|context|LIKE|tr%"},
      {"metrics.a = 1 AND params.b = 'x'", "metric|a|=|1 & param|b|=|x"},
      {"metrics.a = 1 and metrics.b = 2", "metric|a|=|1 & metric|b|=|2"},
      {"metrics.a = 1 metrics.b = 2", "metric|a|=|1 & metric|b|=|2"},
      {"AND metrics.a = 1 AND", "metric|a|=|1"},
      {"tags.x = ''", "tag|x|=|"},
      {"tags.\xC3\xA4 = '\xE2\x82\xAC'", "tag|\xC3\xA4|=|\xE2\x82\xAC"},
  };
  for (const auto& one : cases)
    EXPECT_EQ(parsed(one.filter), one.expected) << one.filter;
}

TEST(MlflowFilter, Refuses_what_the_stock_server_refuses) {
  const char* cases[] = {
      "metrics.a = 1 OR metrics.b = 2",
      "(metrics.a = 1)",
      "metrics.a = 1;",
      "metrics.a",
      "metrics.a =",
      "metrics.a == 1",
      "metrics.a = 'x'",
      "metrics.a = abc",
      "metrics.a LIKE '1%'",
      "metrics.a IS NULL",
      "metrics.a IN (1)",
      "metrics.a-b > 1",
      "5 < metrics.a",
      "params.lr = 0.1",
      "params.lr = lr",
      "params.lr > '0.1'",
      "params.lr IN ('a')",
      "params.x = 'open",
      "tags.`open = 'x'",
      "tags.x NOT LIKE 'a'",
      "status IS NULL",
      "status IN ('FINISHED')",
      "run_id IN ()",
      "run_id IN (1, 2)",
      "run_id IN ('a' 'b')",
      "run_id IN 'a'",
      "start_time = 'x'",
      "start_time LIKE '1'",
      "foo = 'x'",
      "foo.bar = 'x'",
      "attributes.experiment = 'x'",
      "dataset.size = 'x'",
      "dataset.name > 'x'",
      "metrics. = 1",
      "-- comment",
      "metrics.a = 1 \x01",
      "tags.x IS",
      "tags.x IS NOT",
  };
  for (const auto* filter : cases)
    EXPECT_EQ(parsed(filter), "error") << filter;
}

TEST(MlflowFilter, Each_subject_has_its_own_keys) {
  EXPECT_EQ(parsed("name LIKE 'a%'", Subject::kExperiments), "attribute|name|LIKE|a%");
  EXPECT_EQ(parsed("tags.x IS NULL", Subject::kExperiments), "tag|x|IS NULL|");
  EXPECT_EQ(parsed("creation_time > 5", Subject::kExperiments), "attribute|creation_time|>|5");
  EXPECT_EQ(parsed("experiment_id IN ('1', '2')", Subject::kExperiments),
            "attribute|experiment_id|IN|[1][2]");
  EXPECT_EQ(parsed("experiment_id LIKE '1'", Subject::kExperiments), "error");
  EXPECT_EQ(parsed("metrics.a = 1", Subject::kExperiments), "error");
  EXPECT_EQ(parsed("name ILIKE '%x%' AND tags.a = 'b'", Subject::kRegisteredModels),
            "attribute|name|ILIKE|%x% & tag|a|=|b");
  EXPECT_EQ(parsed("run_id = 'x'", Subject::kRegisteredModels), "error");
  EXPECT_EQ(parsed("version_number >= 2", Subject::kModelVersions),
            "attribute|version_number|>=|2");
  EXPECT_EQ(parsed("source_path IN ('a')", Subject::kModelVersions), "error");
  EXPECT_EQ(parsed("tags.x IS NULL", Subject::kModelVersions), "error");
  EXPECT_EQ(parsed("creation_time > 5 AND status = 'READY'", Subject::kLoggedModels),
            "attribute|creation_timestamp|>|5 & attribute|status|=|READY");
  EXPECT_EQ(parsed("params.x IN ('a')", Subject::kLoggedModels), "param|x|IN|[a]");
}

TEST(MlflowFilter, A_flood_of_clauses_is_refused) {
  std::string many;
  for (int i = 0; i < 101; ++i)
    many += "metrics.a = 1 ";
  EXPECT_EQ(parsed(many), "error");
}

std::string ordered(std::string_view text, Subject subject = Subject::kRuns) {
  const auto term = parse_order(text, subject);
  if (!term) return "error";
  return fmt::format("{} {}{}", static_cast<int>(term->entity), term->key,
                     term->descending ? " desc" : "");
}

TEST(MlflowOrder, Reads_fields_with_and_without_direction) {
  EXPECT_EQ(ordered("metrics.acc DESC"), "1 acc desc");
  EXPECT_EQ(ordered("metrics.`a b` asc"), "1 a b");
  EXPECT_EQ(ordered("params.\"x.y\""), "2 x.y");
  EXPECT_EQ(ordered("metrics.top-5 DESC"), "1 top-5 desc");
  EXPECT_EQ(ordered(" params.r-.5 ASC"), "2 r-.5");
  EXPECT_EQ(ordered("start_time desc"), "0 start_time desc");
  EXPECT_EQ(ordered("attribute.created"), "0 start_time");
  EXPECT_EQ(ordered("timestamp DESC", Subject::kRegisteredModels), "0 last_updated_timestamp desc");
  for (const auto* bad : {"", "metrics.a foo", "metrics.a DESC params.b", "'x'", "dataset.name",
                          "foo", "metrics.a,", "metrics.a -5 DESC", "metrics.a-b DESC"}) {
    EXPECT_EQ(ordered(bad), "error") << bad;
  }
  EXPECT_EQ(ordered("tags.a", Subject::kModelVersions), "error");
}

TEST(MlflowOrder, A_field_may_stand_once) {
  EXPECT_FALSE(parse_orders({"metrics.a", "metric.a DESC"}, Subject::kRuns));
  EXPECT_TRUE(parse_orders({"metrics.a", "params.a DESC"}, Subject::kRuns));
}

}  // namespace
}  // namespace strata::wire::mlflow
