// Which LoRA files to add to a model, and how strongly.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace fovea {

struct LoraChoice {
  std::filesystem::path file;
  double scale = 1;
};

struct NamedLora {
  std::string name;  // a path, or a name to look up
  double scale = 1;
};

// "FILE[:SCALE]": what follows the last colon is the scale if it is a finite number. Throws kUsage
// for an empty name.
NamedLora ParseLoraFlag(const std::string& text);

// Several in one text, as settings keep them: "NAME:SCALE;NAME:SCALE". Throws kUsage for a name
// that holds a semicolon, and as ParseLoraFlag.
std::string LoraText(const std::vector<NamedLora>& loras);
std::vector<NamedLora> ParseLoraText(std::string_view text);

// Takes "<lora:NAME[:SCALE]>" out of a prompt, with the blanks that then stand twice, and appends
// what it names. Throws kUsage for a tag without a name or with a scale that is no number.
std::string TakeLoraTags(std::string_view prompt, std::vector<NamedLora>& loras);

}  // namespace fovea
