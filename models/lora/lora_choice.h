// Which LoRA files to add to a model, and how strongly.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fovea {

// `scale` is for every component; with text_scale, text encoders have that one instead.
struct LoraScales {
  double scale = 1;
  std::optional<double> text_scale = {};
  double Of(std::string_view component) const {
    return component.starts_with("text_encoder") ? text_scale.value_or(scale) : scale;
  }
};

struct LoraChoice {
  std::filesystem::path file;
  LoraScales scales = {};
};

struct NamedLora {
  std::string name;  // a path, or a name to look up
  LoraScales scales = {};
};

// "FILE[:SCALE]" or "FILE:TEXT_SCALE:SCALE": what follows the last colons are scales if they are
// finite numbers. Throws kUsage for an empty name.
NamedLora ParseLoraFlag(const std::string& text);

// Several in one text, as settings keep them: "NAME:SCALE;NAME:TEXT_SCALE:SCALE". Throws kUsage for
// a name that holds a semicolon, and as ParseLoraFlag.
std::string LoraText(const std::vector<NamedLora>& loras);
std::vector<NamedLora> ParseLoraText(std::string_view text);

// Whether a name that a stranger gave is a path that leaves the folder it is looked up in: from the
// root, from home, or through "." and "..".
bool LeadsElsewhere(std::string_view name);

// Takes the web UI's tags <KIND:...> out of a prompt, with the blanks that then stand twice, and
// appends what they name: <lora:NAME>, <lora:NAME:SCALE>, <lora:NAME:TEXT_SCALE:SCALE> and
// <lora:NAME:te=0.5:unet=0.8>, in any case of letters; lyco means the same. A named argument that
// has no meaning here goes to `notes`, a line each (may be null). A tag that does not close is
// text. Throws kUsage for a tag without a name, with one that LeadsElsewhere, or with a scale that
// is no number, kUnsupported for other kinds.
std::string TakeLoraTags(std::string_view prompt, std::vector<NamedLora>& loras,
                         std::vector<std::string>* notes = nullptr);

// The same for reading back: "<lora:NAME:SCALE>".
std::string LoraTag(const NamedLora& lora);

}  // namespace fovea
