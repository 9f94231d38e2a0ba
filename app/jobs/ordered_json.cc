#include "app/jobs/ordered_json.h"

#include <set>
#include <vector>

#include <nlohmann/json.hpp>

#include "app/jobs/job.h"
#include "models/files/json_text.h"

namespace fovea {

nlohmann::ordered_json ParseOrderedJson(std::string_view text, int depth) {
  using Json = nlohmann::ordered_json;
  std::vector<std::set<std::string>> keys(static_cast<size_t>(depth) + 2);  // by open containers
  const auto check = [&](int open, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start) {
      if (open >= depth) {
        throw BrokenLine("JSON is nested deeper than " + std::to_string(depth) + " levels");
      }
      keys[static_cast<size_t>(open) + 1].clear();
    }
    if (event == Json::parse_event_t::key &&
        !keys[static_cast<size_t>(open)].insert(value.get<std::string>()).second) {
      throw BrokenLine(Printable(value.get<std::string>(), 80) + " is given twice");
    }
    return true;
  };
  try {
    return Json::parse(text, check);
  } catch (const nlohmann::json::exception& error) {
    std::string what = error.what();
    if (const size_t end = what.find("] "); end != std::string::npos) what.erase(0, end + 2);
    throw BrokenLine("not valid JSON: " + Printable(what, 160));
  }
}

}  // namespace fovea
