#pragma once

#include "platform/external/external.hpp"

namespace strata::platform::external {

// Writes one event into the records, the graph and the stream of events, in the transaction of
// `writer`. Private to the room.
class Recording {
 public:
  Recording(kernel::Writer& writer, kernel::EventBus& events, kernel::Lineage& lineage,
            const kernel::Caller& caller)
      : writer_(writer),
        events_(events),
        lineage_(lineage),
        caller_(caller) {}

  Status add(const wire::openlineage::Event& event);
  bool changed() const { return changed_; }

 private:
  struct KnownDataset {
    std::int64_t id = 0;
    std::string owned;
    Identifier name;
  };
  // A fact of a dataset that a job told in an event of that time.
  struct Told {
    std::int64_t job = 0;
    std::string run_id, kind;
    Instant time;
    std::string value;
  };
  struct KnownRun {
    std::int64_t id = 0;
    RunState state = RunState::kOther;
    std::optional<Instant> started, ended;
  };

  Result<std::int64_t> job_of(const wire::openlineage::Event& event);
  Status declare(std::int64_t job, Instant time);
  Result<KnownRun> run_of(const wire::openlineage::Event& event, std::int64_t job);
  Result<KnownDataset> dataset_of(const wire::openlineage::DatasetReport& report, Instant time);
  Status use(const wire::openlineage::Event& event, std::int64_t job, const std::string& role,
             const wire::openlineage::DatasetReport& report, const KnownRun* run);
  Status report_facts(const wire::openlineage::Event& event, std::int64_t job, bool output,
                      const wire::openlineage::DatasetReport& report, const KnownDataset& dataset,
                      const KnownRun* run);
  Status tell_output(const Told& told, const KnownDataset& dataset, const KnownRun* run);
  Status settle_pending(const KnownRun& run, std::int64_t job, const std::string& run_id);
  Status keep(const Told& told, const KnownDataset& dataset);
  Status link_reads(const KnownRun& run, const std::string& run_id);
  Status link_products(const KnownRun& run, const std::string& run_id);
  Result<std::vector<kernel::NodeRef>> nodes_of(const Identifier& id, const std::string& owned,
                                                Instant as_of, Instant not_before);
  Status publish(std::string_view type, const std::string& subject, const Json& data);

  kernel::Writer& writer_;
  kernel::EventBus& events_;
  kernel::Lineage& lineage_;
  const kernel::Caller& caller_;
  bool changed_ = false;
};

}  // namespace strata::platform::external
