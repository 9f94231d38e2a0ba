#include "ui/state.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

namespace fovea {

std::string WindowText(const UiState& state) {
  nlohmann::ordered_json json;
  json["tab"] = static_cast<int>(state.tab);
  json["dark"] = state.dark;
  json["history"] = state.show_history;
  json["advanced"] = state.show_advanced;
  json["plan_a"] = state.plan_a;
  json["zoom"] = std::lround(state.zoom * 100);
  const WindowPlace& place = state.place;
  if (place.width > 0) {
    json["place"] = {place.x, place.y, place.width, place.height, place.maximized ? 1 : 0};
  }
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void ReadWindowText(const std::string& text, UiState* state) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return;
  const auto flag = [&](const char* name, bool* value) {
    if (json.contains(name) && json[name].is_boolean()) *value = json[name].get<bool>();
  };
  flag("dark", &state->dark);
  flag("history", &state->show_history);
  flag("advanced", &state->show_advanced);
  if (json.contains("tab") && json["tab"].is_number_integer()) {
    state->tab = static_cast<Tab>(std::clamp(json["tab"].get<int>(), 0, 4));
  }
  if (json.contains("zoom") && json["zoom"].is_number_integer()) {
    state->zoom = static_cast<float>(std::clamp(json["zoom"].get<int>(), 70, 200)) / 100;
  }
  if (json.contains("place") && json["place"].is_array() && json["place"].size() == 5) {
    std::array<int, 5> numbers{};
    bool good = true;
    for (size_t i = 0; i < numbers.size(); ++i) {
      const nlohmann::json& each = json["place"][i];
      good = good && each.is_number_integer() && each >= -100000 && each <= 100000;
      if (good) numbers[i] = each.get<int>();
    }
    if (good && numbers[2] > 0 && numbers[3] > 0) {
      state->place = {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4] != 0};
    }
  }
  if (json.contains("plan_a") && json["plan_a"].is_string()) {
    state->plan_a = json["plan_a"].get<std::string>();
  }
}

}  // namespace fovea
