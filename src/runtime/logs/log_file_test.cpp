#include "runtime/logs/log_file.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/random.hpp"

namespace strata {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Log : public testing::Test {
 public:
  Log() : folder_(testing::TempDir() + "log-" + random_.hex(8)) { fs::create_directories(folder_); }
  ~Log() override { fs::remove_all(folder_); }

 protected:
  std::unique_ptr<LogFile> open(std::uint64_t size) {
    return *LogFile::open(path(), size,
                          [this](const Error& error) { faults_.push_back(error.message); });
  }
  std::string path(const std::string& end = "") const { return folder_ + "/server.log" + end; }
  std::vector<std::string> lines(const std::string& end = "") const {
    std::ifstream in(path(end));
    std::vector<std::string> found;
    for (std::string line; std::getline(in, line);)
      found.push_back(line);
    return found;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_))
      found.push_back(entry.path().filename());
    std::ranges::sort(found);
    return found;
  }

  SystemRandom random_;
  std::string folder_;
  std::vector<std::string> faults_;
};

TEST_F(Log, Goes_on_in_a_new_file_when_it_is_full_and_keeps_five) {
  const auto log = open(6);
  for (int i = 1; i <= 17; ++i)
    log->write(fmt::format("{:02}", i));
  EXPECT_THAT(lines(), ElementsAre("17"));
  EXPECT_THAT(lines(".1"), ElementsAre("15", "16"));
  EXPECT_THAT(lines(".5"), ElementsAre("07", "08"));
  EXPECT_THAT(names(), ElementsAre("server.log", "server.log.1", "server.log.2", "server.log.3",
                                   "server.log.4", "server.log.5"));
}

TEST_F(Log, Counts_what_an_earlier_process_has_written) {
  open(6)->write("one");
  open(6)->write("two");
  EXPECT_THAT(lines(), ElementsAre("two"));
  EXPECT_THAT(lines(".1"), ElementsAre("one"));
}

TEST_F(Log, A_line_longer_than_a_file_may_be_is_in_one_of_its_own) {
  const auto log = open(6);
  log->write("far too long");
  log->write("b");
  EXPECT_THAT(lines(".1"), ElementsAre("far too long"));
  EXPECT_THAT(lines(), ElementsAre("b"));
}

TEST_F(Log, Reopened_it_goes_on_under_its_name) {
  const auto log = open(1000);
  log->write("one");
  fs::rename(path(), path(".old"));
  log->write("two");
  log->reopen();
  log->write("three");
  EXPECT_THAT(lines(".old"), ElementsAre("one", "two"));
  EXPECT_THAT(lines(), ElementsAre("three"));
}

TEST_F(Log, Renamed_away_and_not_reopened_it_takes_its_name_again_when_it_is_full) {
  const auto log = open(8);
  log->write("one");
  fs::rename(path(), path(".old"));
  log->write("two");
  log->write("three");
  EXPECT_THAT(lines(".old"), ElementsAre("one", "two"));
  EXPECT_THAT(lines(), ElementsAre("three"));
  EXPECT_THAT(lines(".1"), IsEmpty());
}

TEST_F(Log, Emptied_by_others_it_is_not_full) {
  const auto log = open(8);
  log->write("one");
  log->write("two");
  fs::resize_file(path(), 0);
  log->write("three");
  EXPECT_THAT(lines(), ElementsAre("three"));
  EXPECT_THAT(names(), ElementsAre("server.log"));
}

TEST_F(Log, What_cannot_be_rotated_is_written_where_it_was) {
  const auto log = open(4);
  fs::create_directories(path(".5/in the way"));
  std::ofstream(path(".4")) << "old\n";
  log->write("one");
  log->write("two");
  log->write("three");
  EXPECT_THAT(lines(), ElementsAre("one", "two", "three"));
  EXPECT_THAT(faults_, ElementsAre(HasSubstr("server.log.5"), HasSubstr("server.log.5")));
}

TEST_F(Log, Is_always_there_to_read) {
  const auto log = open(4);  // each line makes a new file
  std::atomic<bool> done{false};
  int absent = 0;
  std::thread reader([&] {
    while (!done.load())
      absent += fs::exists(path()) ? 0 : 1;
  });
  for (int i = 0; i < 3000; ++i)
    log->write("line");
  done.store(true);
  reader.join();
  EXPECT_EQ(absent, 0);
  EXPECT_THAT(faults_, IsEmpty());
}

TEST_F(Log, Loses_no_line_of_many_threads) {
  constexpr int kThreads = 4;
  constexpr int kLines = 500;
  // So large that nothing falls out at the end.
  const auto log = open(kThreads * kLines * 8 / 4);
  std::vector<std::thread> writers;
  writers.reserve(kThreads);
  for (int thread = 0; thread < kThreads; ++thread) {
    writers.emplace_back([&, thread] {
      for (int i = 0; i < kLines; ++i)
        log->write(fmt::format("{}-{:05}", thread, i));
    });
  }
  for (auto& writer : writers)
    writer.join();
  std::vector<std::string> found;
  for (const auto& end : {".5", ".4", ".3", ".2", ".1", ""}) {
    for (auto& line : lines(end))
      found.push_back(std::move(line));
  }
  std::vector<std::string> expected;
  for (int thread = 0; thread < kThreads; ++thread) {
    for (int i = 0; i < kLines; ++i)
      expected.push_back(fmt::format("{}-{:05}", thread, i));
  }
  std::ranges::sort(found);
  EXPECT_EQ(found, expected);
  EXPECT_THAT(faults_, IsEmpty());
  EXPECT_TRUE(fs::exists(path(".3")));
}

}  // namespace
}  // namespace strata
