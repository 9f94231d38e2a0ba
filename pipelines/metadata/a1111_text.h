// The `parameters` text of A1111's web UI: a prompt, a negative prompt, one line of settings.
//
//   a cat, (sleeping:1.2)
//   Negative prompt: dog
//   Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 512x512, Model: "odd, name"
//
// Grammar only; a1111_settings.h says what the settings mean. Sources: AUTOMATIC1111's
// modules/infotext_utils.py (what is parsed) and ComfyUI_frontend's src/scripts/pnginfo.ts.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fovea {

struct A1111Text {
  std::string prompt, negative;
  // Of the last line, in order, quotes resolved; none if that line holds fewer than three pairs and
  // so belongs to the prompt.
  std::vector<std::pair<std::string, std::string>> fields;
};

// As A1111 parses it: any text is one. Time is linear in its length. Pure; fuzzed.
A1111Text ParseA1111Text(std::string_view text);

// The text that A1111 and ComfyUI split into the same parts. A line of a prompt that would be taken
// for the negative prompt gets a second blank, which no tokenizer sees. Fields without a value are
// left out. The negative prompt's line is always there: ComfyUI needs it.
std::string WriteA1111Text(const A1111Text& parts);

}  // namespace fovea
