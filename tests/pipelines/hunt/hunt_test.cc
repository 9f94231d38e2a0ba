// The plan of a hunt, on scores that a formula gives instead of pictures.
#include "pipelines/hunt/hunt.h"

#include <cmath>
#include <set>

#include <catch2/catch.hpp>

#include "tests/support/error_code.h"

namespace fovea {
namespace {

HuntPlan Plan() {
  HuntPlan plan;
  plan.settings.seed = 7;
  plan.settings.steps = 10;
  plan.settings.cfg = 1;
  plan.prompts = {"a", "b", "c"};
  plan.unseen = {"d", "e"};
  for (int layer = 0; layer < 3; ++layer) {
    for (int head = 0; head < 4; ++head) {
      const std::string name = std::to_string(layer);
      plan.candidates.push_back({name + "." + std::to_string(head), name, layer, head});
    }
  }
  plan.weights = {1, 0.5};
  plan.rounds = 2;
  plan.top = 2;
  plan.cfg = 4;
  plan.strengths = {0.5};
  return plan;
}

// What heads are worth, each by itself.
double Worth(const std::string& list) {
  double worth = 0;
  const PerturbList parsed = PerturbList::Parse(list);
  for (const auto& [item, gain] :
       {std::pair("0.1", 3.0), std::pair("1.2", 2.0), std::pair("2.0", -1.0)}) {
    const std::string layer(1, item[0]), head(1, item[2]);
    for (const PerturbItem& each : parsed.Items()) {
      const bool same = std::to_string(each.first) == layer;
      bool holds = each.heads.empty();
      for (const auto& [from, to] : each.heads) {
        holds = holds || (from <= std::stoi(head) && std::stoi(head) <= to);
      }
      if (same && holds) worth += gain * each.strength;
    }
  }
  return worth;
}

HuntScores ScoresOf(const HuntPlan& plan, const HuntRecords& records, const HuntTask& task) {
  const GenerateSettings settings = SettingsOf(plan, records, task);
  const double noise = 1e-3 * std::cos(static_cast<double>(*settings.seed));
  return {{Worth(settings.perturb) + noise, settings.cfg > 1 ? 1.0 : 0.0}, 0.25};
}

// Runs it to its end; returns how many pictures it took.
int Finish(const HuntPlan& plan, HuntRecords* records) {
  int made = 0;
  for (auto tasks = MissingTasks(plan, *records); !tasks.empty();
       tasks = MissingTasks(plan, *records)) {
    // From the end: the order must not matter.
    records->emplace(tasks.back(), ScoresOf(plan, *records, tasks.back()));
    ++made;
  }
  return made;
}

std::vector<std::string> Items(const std::vector<NamedHead>& heads) {
  std::vector<std::string> items;
  for (const NamedHead& each : heads) items.push_back(each.item);
  return items;
}

}  // namespace

TEST_CASE("a hunt chooses the best heads and compares them with their rivals") {
  const HuntPlan plan = Plan();
  HuntRecords records;
  CHECK(Finish(plan, &records) == plan.Pictures());
  const HuntResult result = ResultOf(plan, records);
  REQUIRE(result.found.size() == 4);
  CHECK(Items(result.rounds[0].chosen) == std::vector<std::string>{"0.1", "1.2"});
  CHECK(Items(result.rounds[1].chosen) == std::vector<std::string>{"0.0", "0.2"});
  CHECK(HeadListText(result.found) == "0.[0,1,2],1.2");
  CHECK(HeadListText(result.found, 0.5) == "0.[0,1,2]@0.5,1.2@0.5");
  const TriedHead& first = result.rounds[0].full[0];
  CHECK(first.chosen);
  CHECK(first.gain.mean == Approx(3));
  CHECK(first.gain.error == Approx(0).margin(1e-9));  // paired: the seed's share cancels
  CHECK(first.score.error > 0);
  std::map<std::string, HuntContender> by_name;
  for (const HuntContender& each : result.contenders) by_name[each.name] = each;
  CHECK(by_name.at("found").over_none.mean == Approx(5));
  CHECK(by_name.at("found@0.5").over_none.mean == Approx(2.5));
  CHECK(by_name.at("cfg").over_none.mean == Approx(0.5));  // the weight of the other objective
  CHECK(by_name.at("layer 0").list == "0");                // the best of three
  CHECK(by_name.contains("random 3"));
  CHECK(by_name.at("none").list.empty());
}

TEST_CASE("a quick look leaves heads out and says how well it foretold") {
  HuntPlan plan = Plan();
  plan.quick_steps = 3;
  plan.quick_keep = 0.5;
  plan.unseen.clear();
  HuntRecords records;
  CHECK(Finish(plan, &records) == plan.Pictures());
  const HuntResult result = ResultOf(plan, records);
  CHECK(result.rounds[0].quick.size() == 12);
  CHECK(result.rounds[0].full.size() == 6);
  CHECK(result.rounds[1].quick.size() == 10);
  CHECK(result.rounds[0].rank_correlation.value() > 0.5);
  CHECK(result.contenders.empty());
  for (const auto& [task, scores] : records) {
    CHECK(SettingsOf(plan, records, task).steps == (task.stage == HuntStage::kQuick ? 3 : 10));
  }
}

TEST_CASE("search and unseen prompts never share a seed, and every task has its own settings") {
  const HuntPlan plan = Plan();
  HuntRecords records;
  Finish(plan, &records);
  std::set<uint64_t> searched, unseen;
  for (const auto& [task, scores] : records) {
    const GenerateSettings settings = SettingsOf(plan, records, task);
    (task.stage == HuntStage::kUnseen ? unseen : searched).insert(*settings.seed);
    CHECK(settings.cfg == (task.trial == "cfg" ? 4 : 1));
  }
  CHECK(searched == std::set<uint64_t>{7, 8, 9});
  CHECK(unseen == std::set<uint64_t>{10, 11});
}

TEST_CASE("plans of hunts that cannot be are refused, other hunts have other heads") {
  const auto code = [](auto change) {
    HuntPlan plan = Plan();
    change(plan);
    return CodeOf([&] { plan.Check(); });
  };
  CHECK(code([](HuntPlan& p) { p.top = 7; }) == ErrorCode::kUsage);
  CHECK(code([](HuntPlan& p) { p.prompts.clear(); }) == ErrorCode::kUsage);
  CHECK(code([](HuntPlan& p) { p.quick_steps = 10; }) == ErrorCode::kUsage);
  HuntPlan other = Plan();
  const std::string head = other.Head("m", {"clip"});
  CHECK(other.Head("m", {"clip"}) == head);
  other.settings.perturb_scale = 2;
  CHECK(other.Head("m", {"clip"}) != head);
}

TEST_CASE("journals give back what was written, and forget a line that was cut") {
  const HuntTask task{HuntStage::kQuick, 1, "m0/1.2", 4};
  const HuntScores scores{{0.1, -1e-300}, 1.0 / 3};
  const std::string text = "head\n" + JournalLine(task, scores);
  const JournalText whole = ParseJournal(text, 2, "j");
  CHECK(whole.head == "head");
  CHECK(whole.records.at(task).scores == scores.scores);
  CHECK(whole.records.at(task).saturation == scores.saturation);
  CHECK(whole.bytes == text.size());
  for (size_t cut = 6; cut + 1 < text.size(); ++cut) {
    const JournalText part = ParseJournal(text.substr(0, cut), 2, "j");
    CHECK(part.records.empty());
    CHECK(part.bytes == 5);
  }
}

TEST_CASE("lines that are no records are refused with their number") {
  const std::string good = JournalLine({HuntStage::kSearch, 0, "1.2", 0}, {{0.5}, 0.5});
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string line = good;
    return line.replace(line.find(from), from.size(), to);
  };
  for (const std::string& bad :
       {std::string("nonsense\n"), std::string("[]\n"), std::string("\n"), with("search", "seek"),
        with("0.5]", "0.5,1]"), with("[0.5]", "[null]"), with("[0.5]", "[1e999]"),
        with("\"round\":0", "\"round\":-1"), with("\"prompt\":0", "\"prompt\":0.5"),
        with("\"1.2\"", "7"), with("\"saturation\":0.5", "\"saturation\":\"x\""),
        good + with("[0.5]", "[0.25]")}) {
    CAPTURE(bad);
    CHECK(CodeOf([&] { ParseJournal("head\n" + bad, 1, "j"); }) == ErrorCode::kBadFile);
  }
  try {
    ParseJournal("head\n" + good + "nonsense\n", 1, "the journal");
    FAIL("was read");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("the journal: line 3") == 0);
  }
}

TEST_CASE("rank correlations know order alone") {
  CHECK(RankCorrelationOf({1, 2, 3}, {10, 20, 1000}) == Approx(1));
  CHECK(RankCorrelationOf({1, 2, 3}, {3, 2, 1}) == Approx(-1));
  CHECK(RankCorrelationOf({1, 1, 2, 2}, {5, 5, 6, 6}) == Approx(1));
  CHECK(RankCorrelationOf({1, 1}, {5, 6}) == 0);
}

}  // namespace fovea
