// Fuzzes journals of hunts: lines of any bytes, and that a record survives writing and reading.
#include <cstdlib>

#include "pipelines/hunt/hunt_records.h"
#include "tests/fuzz/fuzz_target.h"

namespace fovea {

std::vector<std::string> FuzzSeeds() {
  const std::string line = JournalLine({HuntStage::kSearch, 1, "m0/1.2", 3}, {{0.25}, 0.5});
  return {"{\"hunt\":1}\n" + line, line, "{\"hunt\":1}\n" + line + line.substr(0, 30),
          "\n\n\n" + line};
}

}  // namespace fovea

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fovea;
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const size_t objectives : {1U, 2U}) {
    RefusesOrReads([&] {
      const JournalText journal = ParseJournal(text, objectives, "journal");
      if (journal.bytes > size) std::abort();
      for (const auto& [task, scores] : journal.records) {
        const std::string line = JournalLine(task, scores);
        const auto again = ParseJournalLine(line, objectives);
        if (again.first != task || again.second.scores != scores.scores) std::abort();
      }
    });
  }
  return 0;
}
